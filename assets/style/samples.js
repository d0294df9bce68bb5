element.addEventListener("click", (event) => {
  const card = event.target.closest(".triad-card");
  if (card) trigger("select", { index: Number(card.dataset.index) });
});
