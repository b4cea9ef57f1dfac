/* What is wider than the column of the text. The theme takes the contents beside it out of the way of all that has the
   class below; on a page without contents its script would fail, and there nothing gets the class. */
"use strict";
if (document.querySelector(".bd-sidebar-secondary")) {
  for (const element of document.querySelectorAll(".wide")) element.classList.add("full-width");
}
