"""Panels of bars as SVG, without a library. The widths of a group are ratios to its longest."""
from xml.sax.saxutils import escape

COLOURS = {"tnllm": "#1f6fb4", "fla": "#d1495b", "PyTorch": "#d1495b", "lightning-attn": "#8f8f8f"}
WIDTH, LEFT, RIGHT, BAR, GAP, TITLE = 860, 190, 90, 12, 8, 34


def text(x, y, words, anchor="start", weight="normal"):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>\n'


def draw(panels):
    """`panels`: (title, groups); a group is (label, {who: value or None})."""
    parts, y, longest = [], 10, WIDTH - LEFT - RIGHT
    for title, groups in panels:
        groups = [(label, {who: v for who, v in values.items() if v}) for label, values in groups]
        groups = [group for group in groups if group[1]]
        if not groups:
            continue
        parts.append(text(10, y + 14, title, weight="bold"))
        y += TITLE
        for label, values in groups:
            parts.append(text(LEFT - 8, y + BAR, label, anchor="end"))
            for who, value in values.items():
                length = longest * value / max(values.values())
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" '
                             f'fill="{COLOURS[who]}"/>\n')
                parts.append(text(LEFT + round(length) + 4, y + BAR - 2, f"{value:.3g} {who}"))
                y += BAR + 2
            y += GAP
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
            'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n')
    return head + "".join(parts) + "</svg>\n"
