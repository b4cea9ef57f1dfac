"""Python in the page: what runs a reader's code in the browser, and the data that it needs."""
