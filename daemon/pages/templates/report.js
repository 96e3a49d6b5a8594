root.lang = preferred();
localise(document);
