// What the small buttons below each message do: copy, edit, regenerate.
const COPIED_MS = 1200;
const dialog = element.querySelector("dialog");
const textarea = dialog.querySelector("textarea");

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.text);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
}

function edit(button) {
  dialog.dataset.message = button.dataset.message;
  dialog.toggleAttribute("data-media", "media" in button.dataset);
  textarea.value = button.dataset.text;
  dialog.showModal();
  textarea.focus();
}

function sendAgain() {
  // A picture or a spoken question needs no words beside it.
  if (!textarea.value.trim() && !dialog.hasAttribute("data-media")) return;
  dialog.close();
  trigger("edit", { message: Number(dialog.dataset.message), text: textarea.value });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#triad-chat .triad-act");
  if (button?.dataset.act === "copy") copy(button);
  if (button?.dataset.act === "edit") edit(button);
  if (button?.dataset.act === "again") trigger("retry");
});
dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  sendAgain();
});
dialog.querySelector('[data-action="cancel"]').addEventListener("click", () => dialog.close());
textarea.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sendAgain();
});
dialog.addEventListener("keydown", (event) => event.key === "Escape" && event.stopPropagation());
