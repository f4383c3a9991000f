"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const shade = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", shade);
shade();

// Relative to the page, so that it also works below a gateway's prefix.
SwaggerUIBundle({
    url: new URL("openapi.json", document.baseURI).href,
    dom_id: "#explorer",
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    // A badge that asks a service on the network.
    validatorUrl: null,
});
