// The list of chats. The page's ids are changed first; the event then carries them.
function openChat(row) {
  document.dispatchEvent(new Event("triad-close-drawer"));
  window.triad.open(row.dataset.id);
  trigger("select");
}

function deleteChat(row) {
  if (!window.confirm("Delete this chat for good?")) return;
  if (row.hasAttribute("aria-current")) window.triad.openNew();
  trigger("delete", { chat: row.dataset.id });
}

element.addEventListener("click", (event) => {
  const row = event.target.closest(".triad-chat");
  if (!row) return;
  if (event.target.closest(".triad-chat-delete")) deleteChat(row);
  else openChat(row);
});
