// Loaded before the page is built: who this is, which chat is open, and the Esc key.
// window.triad.ids is a promise of [owner, chat]; every event of the page sends them along
// (app/pages/chat.py). They are unguessable: knowing one is what makes a chat yours.
(() => {
  const CHAT = "triad-chat";
  const OWNER = "triad-owner";
  const WAIT_FOR_OLD_PAGE_MS = 500;

  const newId = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const text = btoa(String.fromCharCode(...bytes));
    return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };

  // One page a chat: a lock tells a second tab to start its own. A page that is reloading
  // gives its lock back a moment late, hence the wait.
  let release = () => {};
  const claim = (chat) =>
    new Promise((resolve) => {
      release();
      if (!navigator.locks) return resolve(true);
      const held = () => new Promise((done) => ((release = done), resolve(true)));
      const signal = AbortSignal.timeout(WAIT_FOR_OLD_PAGE_MS);
      navigator.locks.request(`triad-${chat}`, { signal }, held).catch(() => resolve(false));
    });

  // The printed address brings the account's own id along, for a browser that has none.
  const lent = location.hash.match(/^#owner=([\w-]{22})$/)?.[1];
  if (lent) history.replaceState(null, "", location.pathname + location.search);
  const owner = localStorage.getItem(OWNER) ?? lent ?? newId();
  localStorage.setItem(OWNER, owner);

  const open = (chat) => {
    sessionStorage.setItem(CHAT, chat);
    localStorage.setItem(CHAT, chat);
    triad.ids = Promise.resolve([owner, chat]);
    document.querySelector("#triad-box textarea")?.focus();
  };

  const openLast = async () => {
    const last = sessionStorage.getItem(CHAT) ?? localStorage.getItem(CHAT) ?? newId();
    const chat = (await claim(last)) ? last : newId();
    if (chat !== last) claim(chat);
    open(chat);
    return [owner, chat];
  };

  const triad = {
    open(chat) {
      open(chat);
      claim(chat);
    },
    openNew() {
      triad.open(newId());
    },
  };
  window.triad = triad;
  triad.ids = openLast();

  // Gradio's box takes pasted pictures only: sounds go the way of the upload button.
  document.addEventListener("paste", (event) => {
    const sounds = [...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith("audio/"));
    const input = document.querySelector("#triad-box input[type=file]");
    if (event.defaultPrevented || !sounds.length || !input || !event.target.closest?.("#triad-box")) return;
    event.preventDefault();
    const files = new DataTransfer();
    sounds.forEach((sound) => files.items.add(sound));
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // Esc stops whatever is going on, the nearest thing first: recording, camera, list, answer.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return;
    const stops = new CustomEvent("triad-escape", { cancelable: true });
    if (!document.dispatchEvent(stops)) return;
    if (document.body.classList.contains("triad-drawer-open")) {
      document.dispatchEvent(new Event("triad-close-drawer"));
    } else {
      document.querySelector("#triad-box .stop-button")?.click();
    }
  });
})();
