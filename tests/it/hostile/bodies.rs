//! JSON that was written by nobody who means well.

use serde_json::{Map, Value};

use super::dice::Dice;

/// Values that no field expects; some are no JSON at all.
const ODD: &[&[u8]] = &[
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e400",
    b"-0.0",
    b"18446744073709551616",
    b"340282366920938463463374607431768211456",
    b"1e-999999",
    b"NaN",
    b"Infinity",
    b"01",
    b"0x10",
    b"\"\"",
    b"\" \"",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\\udc00\\ud800\"",
    b"\"\\ud83d\\ude00\"",
    b"\"\xff\xfe\"",
    b"\"\xc0\xaf\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xef\xbb\xbf\"",
    b"\"e\xcc\x81\xe2\x80\x8b\"",
    b"\"\xe2\x80\xae\xef\xbc\xa1\"",
    b"\"\xef\xac\x81\xc4\xb0\xe1\xba\x9e\"",
    b"\"\\r\\nX-Injected: yes\\r\\n\"",
    b"\"a\nb\"",
    b"\"\\x41\"",
    b"\"'; DROP TABLE tickets; --\"",
    b"\"$(id)`id`%s%n\"",
    b"\"<script>alert(1)</script>\"",
    b"\"{{7*7}}${7*7}\"",
    b"\"*\"",
    b"\"__proto__\"",
    b"'single'",
    b"unquoted",
    b"{}",
    b"[]",
    b"[[[[]]]]",
    b"{\"$ne\":null}",
    b"{\"\":{\"\":{}}}",
    b"/* no */ 1",
];
/// What stands before or behind a body.
const AROUND: &[&[u8]] = &[
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b" \r\n\t",
    b")]}',\n",
    b",",
    b"{}",
];

/// `good`, changed somewhere; it may still be good.
pub fn mutated(good: &Value, dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    if dice.chance(5) {
        text.extend_from_slice(dice.one(AROUND));
    }
    write(good, dice, &mut text);
    if dice.chance(5) {
        text.extend_from_slice(dice.one(AROUND));
    }
    if dice.chance(10) {
        let at = dice.below(text.len());
        text.truncate(at);
    }
    if dice.chance(10) && !text.is_empty() {
        let at = dice.below(text.len());
        text[at] = dice.byte();
    }
    text
}

/// As [`mutated`], but certainly no JSON.
pub fn broken(good: &Value, dice: &mut Dice) -> Vec<u8> {
    let mut text = mutated(good, dice);
    // Whatever stands before it: a bracket that was never opened.
    text.push(b']');
    text.insert(0, b'{');
    text
}

fn write(value: &Value, dice: &mut Dice, out: &mut Vec<u8>) {
    if dice.chance(12) {
        return odd(dice, out);
    }
    match value {
        Value::Object(fields) => write_object(fields, dice, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, dice, out);
            }
            out.push(b']');
        }
        Value::String(text) if dice.chance(20) => write_text(text, dice, out),
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

fn write_object(fields: &Map<String, Value>, dice: &mut Dice, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (name, value) in fields {
        let times = match dice.below(20) {
            0 => 0,
            1 => 2,
            2 => 40,
            _ => 1,
        };
        for _ in 0..times {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            match dice.below(40) {
                0 => odd(dice, out),
                1 => out.extend_from_slice(format!("\"{}\"", name.to_uppercase()).as_bytes()),
                _ => out.extend_from_slice(format!("\"{name}\"").as_bytes()),
            }
            out.push(b':');
            write(value, dice, out);
        }
    }
    if dice.chance(10) {
        if !first {
            out.push(b',');
        }
        out.extend_from_slice(b"\"more\":");
        odd(dice, out);
    }
    out.push(b'}');
}

fn odd(dice: &mut Dice, out: &mut Vec<u8>) {
    match dice.below(12) {
        0 => nested(b"[", b"]", dice, out),
        1 => nested(b"{\"a\":", b"}", dice, out),
        2 => {
            let length = [64, 65, 255, 256, 4_000, 17_000][dice.below(6)];
            let filler = dice.one(&["a", "é", "漢", "💩", "\\u0061", " "]);
            out.push(b'"');
            out.extend_from_slice(filler.repeat(length / filler.len()).as_bytes());
            out.push(b'"');
        }
        3 => out.extend(std::iter::repeat_n(b'9', 1 + dice.below(400))),
        _ => out.extend_from_slice(dice.one(ODD)),
    }
}

fn nested(open: &[u8], close: &[u8], dice: &mut Dice, out: &mut Vec<u8>) {
    let levels = [1, 100, 127, 128, 129, 2_500][dice.below(6)];
    out.extend_from_slice(&open.repeat(levels));
    out.push(b'1');
    out.extend_from_slice(&close.repeat(levels));
}

/// The same text in another way, or another text like it.
fn write_text(text: &str, dice: &mut Dice, out: &mut Vec<u8>) {
    out.push(b'"');
    match dice.below(5) {
        0 => {
            for unit in text.encode_utf16() {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
        1 => out.extend_from_slice(format!(" {text} ").as_bytes()),
        2 => out.extend_from_slice(text.to_uppercase().as_bytes()),
        3 => out.extend_from_slice(text.replace('-', "").as_bytes()),
        _ => out.extend_from_slice(format!("{text}\u{301}").as_bytes()),
    }
    out.push(b'"');
}
