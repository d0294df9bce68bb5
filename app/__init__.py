"""What people touch: the page, its server, the voice socket and the history of chats."""
