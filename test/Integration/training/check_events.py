"""Reads TensorBoard event files, by the formats' definitions, and compares the losses with
metrics.jsonl.

check_events.py FOLDER METRICS
"""
import json
import os
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    while data:
        (length, check), rest = struct.unpack("<QI", data[:12]), data[12:]
        if masked(data[:8]) != check or len(rest) < length + 4:
            sys.exit("a record's length is damaged")
        if struct.unpack("<I", rest[length:length + 4])[0] != masked(rest[:length]):
            sys.exit("a record is damaged")
        yield rest[:length]
        data = rest[length + 4:]


def fields(message):
    """(number, value) of a protocol buffer: integers, 4 or 8 bytes, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7) or varint()
        yield key >> 3, message[at:at + size]
        at += size


def main():
    folder, metrics = sys.argv[1:]
    losses = {}
    names = sorted(os.listdir(folder))
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            events = [dict(fields(record)) for record in records(file.read())]
        if events[0][3] != b"brain.Event:2" or dict(fields(events[1][7])) != {1: 1}:
            sys.exit(f"{name}: expected the version and a start at its beginning")
        for event in events[1:]:
            if 7 in event:  # a start: what is there of this step and later is void
                losses = {step: loss for step, loss in losses.items() if step < event[2]}
                continue
            for number, value in fields(event[5]):
                value = dict(fields(value))
                if value[1] == b"train/loss":
                    losses[event[2]] = struct.unpack("<f", value[2])[0]
    with open(metrics, encoding="utf-8") as file:
        expected = {entry["step"]: entry["loss"] for entry in map(json.loads, file)
                    if "loss" in entry}
    for step, loss in expected.items():
        if abs(losses[step] - loss) > 1e-6 * loss:
            sys.exit(f"step {step}: {losses[step]}, expected {loss}")
    print(f"{len(names)} files, {len(losses)} steps, as in metrics.jsonl")


if __name__ == "__main__":
    main()
