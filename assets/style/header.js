// The header's buttons. "New chat" keeps the old one: it stays in the list of chats.
const chatsButton = element.querySelector('[data-action="chats"]');

function toggleDrawer(isOpen) {
  document.body.classList.toggle("triad-drawer-open", isOpen);
  chatsButton.setAttribute("aria-expanded", String(isOpen));
  if (isOpen) document.querySelector("#triad-drawer button")?.focus();
}

function toggleTheme() {
  const isDark = document.body.classList.toggle("dark");
  localStorage.setItem("triad-theme", isDark ? "dark" : "light");
}

const theme = localStorage.getItem("triad-theme");
if (theme) document.body.classList.toggle("dark", theme === "dark");
chatsButton.addEventListener("click", () => {
  toggleDrawer(!document.body.classList.contains("triad-drawer-open"));
});
element.querySelector('[data-action="theme"]').addEventListener("click", toggleTheme);
element.querySelector('[data-action="new"]').addEventListener("click", () => {
  toggleDrawer(false);
  window.triad.openNew();
  trigger("click");
});
document.addEventListener("triad-close-drawer", () => {
  toggleDrawer(false);
  chatsButton.focus();
});
document.addEventListener("pointerdown", (event) => {
  const isInside = event.target.closest("#triad-drawer, #triad-header");
  if (!isInside && document.body.classList.contains("triad-drawer-open")) toggleDrawer(false);
});
