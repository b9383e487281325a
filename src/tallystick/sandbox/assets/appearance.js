// The shop's wishes for the look: variables become custom properties, rules become a style sheet of their own.

const VARIABLES = {
  colorPrimary: "--primary",
  colorBackground: "--background",
  colorText: "--text",
  colorDanger: "--danger",
  colorTextSecondary: "--secondary",
  colorTextPlaceholder: "--placeholder",
  borderRadius: "--radius",
  fontFamily: "--font",
  fontSizeBase: "--size",
  fontSizeSm: "--size-small",
  spacingUnit: "--unit",
  gridRowSpacing: "--row-gap",
  gridColumnSpacing: "--column-gap",
  inputColorBorder: "--border",
  labelColorText: "--label",
  labelFontWeight: "--label-weight",
};
const RULE =
  /^\.(Tab|TabLabel|Label|Input|Error|Block|TermsText)(--(selected|invalid))?(:(hover|focus|disabled)|::placeholder)?$/;
const sheet = new CSSStyleSheet();
document.adoptedStyleSheets = [sheet];

function dress({ theme = "stripe", variables = {}, rules = {}, disableAnimations } = {}) {
  const root = document.documentElement;
  root.dataset.theme = ["stripe", "night", "flat"].includes(theme) ? theme : "stripe";
  root.toggleAttribute("data-still", Boolean(disableAnimations));
  for (const [name, property] of Object.entries(VARIABLES)) {
    const value = variables[name];
    if (value) root.style.setProperty(property, value);
    else root.style.removeProperty(property);
  }
  while (sheet.cssRules.length) sheet.deleteRule(0);
  for (const [selector, declarations] of Object.entries(rules)) {
    if (!RULE.test(selector)) {
      console.warn(`The sandbox's Payment Element has no ${selector} to style.`);
      continue;
    }
    const rule = sheet.cssRules[sheet.insertRule(`${selector} {}`, sheet.cssRules.length)];
    for (const [name, value] of Object.entries(declarations)) {
      rule.style.setProperty(
        name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
        value,
      );
    }
  }
}
