// 3D Secure over the shop's page: the bank's page in a frame inside a modal dialog.

const STYLES = {
  dialog: {
    position: "fixed",
    inset: "0",
    width: "100%",
    height: "100%",
    maxWidth: "none",
    maxHeight: "none",
    margin: "0",
    padding: "16px",
    border: "0",
    boxSizing: "border-box",
    display: "grid",
    placeItems: "center",
    background: "rgb(10 16 20 / 62%)",
  },
  sheet: {
    position: "relative",
    width: "min(100%, 420px)",
    height: "min(100%, 420px)",
    background: "Canvas",
    colorScheme: "light dark",
    borderRadius: "12px",
    overflow: "hidden",
    boxShadow: "0 20px 60px rgb(0 0 0 / 35%)",
  },
  frame: { width: "100%", height: "100%", border: "0", display: "block" },
  close: {
    position: "absolute",
    top: "2px",
    right: "4px",
    width: "44px",
    height: "44px",
    padding: "0",
    border: "0",
    background: "transparent",
    color: "CanvasText",
    font: "24px/1 system-ui, sans-serif",
    cursor: "pointer",
  },
};

/** An element with styles set one by one: the shop's content security policy may forbid style attributes. */
function make(tag, style, properties = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  Object.assign(node.style, style);
  return node;
}

/** Show the bank's page; resolves to `done` (it was answered, either way) or `canceled` (it was closed). */
function showChallenge(origin, url) {
  // The intent may have been confirmed by a server that knows the sandbox under another name.
  const { pathname, search } = new URL(url);
  const address = new URL(pathname + search, origin);
  address.searchParams.set("origin", window.location.origin);
  const before = document.activeElement;
  const dialog = make("dialog", STYLES.dialog);
  const sheet = make("div", STYLES.sheet);
  const frame = make("iframe", STYLES.frame, { title: "Your bank asks you to confirm", src: address.href });
  const close = make("button", STYLES.close, { type: "button", textContent: "×" });
  dialog.setAttribute("aria-label", "Confirm with your bank");
  close.setAttribute("aria-label", "Cancel and close");
  sheet.append(frame, close);
  dialog.append(sheet);
  document.body.append(dialog);
  return new Promise((resolve) => {
    const finish = (outcome) => {
      window.removeEventListener("message", hear);
      dialog.close();
      dialog.remove();
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
      resolve(outcome);
    };
    const hear = (event) => {
      if (event.origin !== origin || event.source !== frame.contentWindow) return;
      const { challenge, height } = event.data || {};
      if (height) sheet.style.height = `min(100%, ${Math.ceil(height)}px)`;
      if (challenge) finish(challenge);
    };
    window.addEventListener("message", hear);
    close.addEventListener("click", () => finish("canceled"));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      finish("canceled");
    });
    // Everything behind a modal dialog is inert, so the tabulator stays in it.
    dialog.showModal();
    frame.focus();
  });
}
