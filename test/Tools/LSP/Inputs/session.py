#!/usr/bin/python3
"""Edits a file as an editor would: session.py SERVER FILE.mlir

FILE is correct, and is broken and repaired in memory. Prints what the server says.
Places are found by their text, so that they need no line numbers.
"""

import pathlib
import sys

from lsp_client import Client


class Document:
    def __init__(self, client, path):
        self.client = client
        self.uri = path.as_uri()
        self.text = path.read_text()
        self.version = 1

    def open(self):
        self.client.notify("textDocument/didOpen", {"textDocument": {
            "uri": self.uri, "languageId": "mlir", "version": self.version,
            "text": self.text}})
        return self.diagnostics()

    def change(self, text):
        self.version += 1
        self.text = text
        self.client.notify("textDocument/didChange", {
            "textDocument": {"uri": self.uri, "version": self.version},
            "contentChanges": [{"text": text}]})
        return self.diagnostics()

    def diagnostics(self):
        while True:
            published = self.client.next_notification("textDocument/publishDiagnostics")
            if published["uri"] == self.uri and published.get("version") == self.version:
                return published["diagnostics"]

    def position(self, text, occurrence=0):
        """Of the second character of an occurrence of `text`."""
        at = -1
        for _ in range(occurrence + 1):
            at = self.text.index(text, at + 1)
        before = self.text[:at + 1]
        return {"line": before.count("\n"), "character": at - before.rfind("\n", 0, at)}

    def at(self, range_):
        """The text of a range within one line."""
        start, end = range_["start"], range_["end"]
        assert start["line"] == end["line"]
        line = self.text.split("\n")[start["line"]]
        return line[start["character"]:end["character"]]

    def ask(self, method, text, occurrence=0):
        return self.client.request("textDocument/" + method, {
            "textDocument": {"uri": self.uri},
            "position": self.position(text, occurrence)})


def print_outline(symbol, depth):
    print(f"outline: {'  ' * depth}{symbol['name']} from line "
          f"{symbol['range']['start']['line'] + 1}")
    for child in symbol.get("children", []):
        print_outline(child, depth + 1)


def main():
    client = Client([sys.argv[1]])
    answer = client.request("initialize", {
        "processId": None, "rootUri": None, "capabilities": {"textDocument": {
            "documentSymbol": {"hierarchicalDocumentSymbolSupport": True}}}})
    print("server:", answer["serverInfo"]["name"], answer["serverInfo"]["version"])
    capabilities = answer["capabilities"]
    for name in ("definitionProvider", "documentSymbolProvider", "hoverProvider",
                 "referencesProvider"):
        assert capabilities[name], capabilities
    client.notify("initialized", {})

    document = Document(client, pathlib.Path(sys.argv[2]).resolve())
    correct = document.text
    print("opened:", document.open())

    # The verifier's words, at the operation.
    wrong = correct.replace("tasks(%n) (%buffer, %rows)", "tasks(%n) (%rows, %buffer)")
    wrong = wrong.replace(": memref<8x64xf32>, index", ": index, memref<8x64xf32>")
    assert wrong != correct
    for diagnostic in document.change(wrong):
        print("diagnostic:", diagnostic["message"])
        print("  at:", document.text.split("\n")[diagnostic["range"]["start"]["line"]].strip())
        for related in diagnostic.get("relatedInformation", []):
            line = related["location"]["range"]["start"]["line"]
            print("  note:", related["message"], "at:", document.text.split("\n")[line])
    # And those of the parser.
    for diagnostic in document.change(correct.replace("tnk.return", "tnk.retrun")):
        print("diagnostic:", diagnostic["message"])
    print("repaired:", document.change(correct))

    for what, text, occurrence in (("value", "%v", 1), ("argument", "%x[", 0),
                                   ("kernel", "@twice", 1), ("block argument", "%i,", 0)):
        for found in document.ask("definition", text, occurrence):
            range_ = found["range"]
            print(f"definition of {what}: {document.at(range_)} on line "
                  f"{range_['start']['line'] + 1}")
    print("references of kernel:", sorted(
        found["range"]["start"]["line"] + 1 for found in client.request(
            "textDocument/references", {
                "textDocument": {"uri": document.uri},
                "position": document.position("@twice"),
                "context": {"includeDeclaration": False}})))
    print("hover:", document.ask("hover", "tnrt.launch")["contents"]["value"])
    print("hover:", document.ask("hover", "%v", 1)["contents"]["value"])
    for symbol in client.request("textDocument/documentSymbol", {
            "textDocument": {"uri": document.uri}}):
        print_outline(symbol, 0)
    print("exit status:", client.close())


if __name__ == "__main__":
    main()
