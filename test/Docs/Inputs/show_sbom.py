"""Prints an SPDX document as lines, after a look at what the format asks of it."""
import json
import re
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
for key in ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace",
            "creationInfo"):
    assert document[key], key
assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"]["created"])
names = {"SPDXRef-DOCUMENT": ("document", "")}
for package in document["packages"]:
    assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", package["SPDXID"]), package
    assert package["SPDXID"] not in names, package
    assert package["versionInfo"] and "downloadLocation" in package, package
    names[package["SPDXID"]] = (package["name"], package["versionInfo"])
print(f"{document['spdxVersion']}, {len(document['packages'])} packages")
print(next(package["comment"] for package in document["packages"]
           if package["SPDXID"] == "SPDXRef-tnllm"))
for relation in document["relationships"]:
    name, version = names[relation["spdxElementId"]]
    other, _ = names[relation["relatedSpdxElement"]]
    comment = ": " + relation["comment"] if "comment" in relation else ""
    print(f"{name} {version} {relation['relationshipType']} {other}{comment}")
