// What the server said about itself when it served the page.
export const facts = JSON.parse(document.getElementById("page").dataset.facts);
