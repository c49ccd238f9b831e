"""Listeners of a reporter."""

from headstart.progress import Message


class Messages:
    """Keeps the texts of what is said."""

    def __init__(self):
        self.texts = []

    def receive(self, event):
        if isinstance(event, Message):
            self.texts.append(event.text)
