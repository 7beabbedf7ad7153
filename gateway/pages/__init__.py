"""What web pages share: two languages, drawing with strict headers, the browser's taste."""
