(least) => {
    // A colour as Chromium computes it, as red, green, blue (0..=255) and opacity (0..=1).
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const parse = (text) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = (top, below) => {
        const mix = (index) => top[index] * top[3] + below[index] * (1 - top[3]);
        return [mix(0), mix(1), mix(2), 1];
    };
    const luminance = (colour) => {
        const [red, green, blue] = colour.slice(0, 3).map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrast = (one, other) => {
        const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const behind = (element) => {
        const layers = [];
        for (let it = element; it; it = it.parentElement) layers.push(parse(getComputedStyle(it).backgroundColor));
        return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
    };
    const opacity = (element) => {
        let share = 1;
        for (let it = element; it; it = it.parentElement) share *= Number(getComputedStyle(it).opacity);
        return share;
    };
    const found = { texts: 0, faint: [] };
    const check = (element, text, colour) => {
        const box = element.getBoundingClientRect();
        if (!text.trim() || !box.width || !box.height) return;
        if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return;
        found.texts += 1;
        const ground = behind(element);
        const ink = parse(colour);
        ink[3] *= opacity(element);
        const ratio = contrast(over(ink, ground), ground);
        if (ratio < least) found.faint.push(`${text.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    };

    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (element.closest('script, style, template, datalist, option')) continue;
        const style = getComputedStyle(element);
        check(element, texts.currentNode.data, element.closest('svg') ? style.fill : style.color);
    }
    for (const field of document.querySelectorAll('input, select, textarea')) {
        if (['checkbox', 'radio'].includes(field.type)) continue;
        const of = field.value ? undefined : '::placeholder';
        check(field, field.value || field.placeholder || '', getComputedStyle(field, of).color);
    }
    for (const element of document.querySelectorAll('body *')) {
        for (const part of ['::before', '::after']) {
            const style = getComputedStyle(element, part);
            if (/^"\s*\S/.test(style.content)) check(element, style.content, style.color);
        }
    }
    return found;
}
