"""One function per command, a module per family; the clients' methods are generated from them."""
