"""A second program that bounds a latch: Python's decimals of 40 digits, rounded outward,
one box and one number at a time, without NumPy, and without memcap's machine."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

DOWN = Context(prec=40, rounding=ROUND_FLOOR)
UP = Context(prec=40, rounding=ROUND_CEILING)
ONE = Decimal(1)


def exact(number):
    return Decimal(float(number)), Decimal(float(number))


def add(*intervals):
    low, high = intervals[0]
    for a, b in intervals[1:]:
        low, high = DOWN.add(low, a), UP.add(high, b)
    return low, high


def multiply(a, b):
    pairs = [(x, y) for x in a for y in b]
    return (
        min(DOWN.multiply(x, y) for x, y in pairs),
        max(UP.multiply(x, y) for x, y in pairs),
    )


def sigmoid(interval):
    """1 / (1 + e^-x); e^x is rounded correctly, by the decimals' specification."""
    low, high = interval
    most = UP.next_plus(UP.exp(DOWN.minus(low)))
    least = DOWN.next_minus(DOWN.exp(UP.minus(high)))
    return DOWN.divide(ONE, UP.add(ONE, most)), UP.divide(ONE, DOWN.add(ONE, least))


def tanh(interval):
    """2 sigmoid(2 x) - 1."""
    two = exact(2)
    return add(multiply(two, sigmoid(multiply(two, interval))), exact(-1))


def dot(box, column):
    return [multiply(x, exact(weight)) for x, weight in zip(box, column, strict=True)]


def step(arrays, c, h, symbol):
    kernel, recurrent, bias = arrays[:3]
    units = len(c)
    z = [
        add(exact(kernel[symbol, k]), exact(bias[k]), *dot(h, recurrent[:, k]))
        for k in range(4 * units)
    ]
    i, f, o = (list(map(sigmoid, z[k * units : (k + 1) * units])) for k in (0, 1, 3))
    g = list(map(tanh, z[2 * units : 3 * units]))
    c = [add(multiply(f[u], c[u]), multiply(i[u], g[u])) for u in range(units)]
    return c, [multiply(o[u], tanh(c[u])) for u in range(units)]


def hull(images):
    """The least box of c and h that holds all images."""
    return tuple(
        [
            (min(low for low, _ in sides), max(high for _, high in sides))
            for sides in zip(*part, strict=True)
        ]
        for part in zip(*images, strict=True)
    )


def margin(arrays, h, answer):
    readout, bias = arrays[3:]
    return min(
        add(
            exact(bias[answer]),
            multiply(exact(-1), exact(bias[other])),
            *dot(h, readout[:, answer].astype(float) - readout[:, other].astype(float)),
        )[0]
        for other in range(len(bias))
        if other != answer
    )


def least_margin(arrays, task, steps, anywhere):
    """The margin of a latch in all sequences of at most `steps` steps, of real numbers."""
    symbols = range(task.symbols)
    distractors = range(task.symbols, task.vocabulary - 1)
    zero = [exact(0)] * len(arrays[1])
    before = [(zero, zero)]
    while anywhere and len(before) < steps - 2:
        before.append(hull([step(arrays, *before[-1], x) for x in distractors]))
    least = Decimal("Infinity")
    for symbol in symbols:
        held = None
        for t in range(1, steps - 1):
            images = (
                [] if held is None else [step(arrays, *held, x) for x in distractors]
            )
            if t <= len(before):
                seen = step(arrays, *before[t - 1], symbol)
                images += [step(arrays, *seen, x) for x in distractors]
            held = hull(images)
            _, h = step(arrays, *held, task.vocabulary - 1)
            least = min(least, margin(arrays, h, symbol))
    return float(least)
