"""Answers as students write them: right ones in many ways, and wrong ones with the name of what is wrong.

Each is a method, the mistake (empty for a right answer), and the class: either the whole of it, or the body of its
`my_step` under the constructor of `CONSTRUCTORS`.
"""

from __future__ import annotations

import itertools
import linecache
import textwrap
from typing import NamedTuple

CONSTRUCTORS = {
    "sgd": "params, lr",
    "momentum": "params, lr, momentum",
    "nesterov": "params, lr, momentum",
    "rmsprop": "params, lr, alpha, eps=1e-8",
    "adam": "params, lr, alpha, momentum, eps=1e-8",
    "adagrad": "params, lr, eps=1e-8",
}


class Answer(NamedTuple):
    """A student's answer: the method, the name of what is wrong with it, and the source of the class."""

    method: str
    mistake: str
    source: str

    def cls(self) -> type:
        """The class, from a file of its own, as a notebook's cell has one."""
        name = f"/notebook/{next(COUNT)}.py"
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(keepends=True), name)
        namespace: dict[str, object] = {"__name__": "__main__"}
        exec(compile(self.source, name, "exec"), namespace)
        return namespace["Mine"]


COUNT = itertools.count()


def answer(method: str, mistake: str, body: str) -> Answer:
    body = textwrap.dedent(body).strip("\n")
    if "class Mine" not in body:
        takes = CONSTRUCTORS[method]
        names = [part.split("=")[0].strip() for part in takes.split(",")][1:]
        head = (
            "class Mine(Optim):\n"
            f"    def __init__(self, {takes}):\n"
            f"        super().__init__(params, dict({', '.join(f'{name}={name}' for name in names)}))\n\n"
            "    def my_step(self, p, state, group):\n"
        )
        body = head + textwrap.indent(body, "        ")
    return Answer(method, mistake, f"import math\nimport torch\nfrom optim_code import Optim\n\n{body}\n")


# --- right ---------------------------------------------------------------------------------------------------------

RIGHT = {
    "sgd in place": answer("sgd", "", """
        p.data -= group["lr"] * p.grad.data
    """),
    "sgd in torch's old order of arguments": answer("sgd", "", """
        p.data.add_(-group["lr"], p.grad.data)
    """),
    "sgd under no_grad": answer("sgd", "", """
        with torch.no_grad():
            p -= group["lr"] * p.grad
    """),
    "sgd with new data": answer("sgd", "", """
        p.data = p.data - group["lr"] * p.grad.data
    """),
    "sgd into a slice": answer("sgd", "", """
        p.data[:] = p.data - p.grad * group["lr"]
    """),
    "sgd number by number": answer("sgd", "", """
        values, slopes = p.data.view(-1), p.grad.view(-1)
        for i in range(p.numel()):
            values[i] -= group["lr"] * slopes[i].item()
    """),
    "sgd with numpy": answer("sgd", "", """
        p.detach().numpy()[...] -= group["lr"] * p.grad.numpy()
    """),
    "sgd that overrides step": answer("sgd", "", """
        class Mine(Optim):
            def __init__(self, params, lr=0.1, **more):
                super().__init__(params, {"lr": lr, **more})

            @torch.no_grad()
            def step(self, closure=None):
                loss = None
                if closure is not None:
                    with torch.enable_grad():
                        loss = closure()
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            p.copy_(p - group["lr"] * p.grad)
                return loss
    """),
    "sgd that looks back at its gradient": answer("sgd", "", """
        state["before"], state["now"] = state.get("now"), p.grad
        p.data -= group["lr"] * state["now"]
    """),
    "momentum with all gradients": answer("momentum", "", """
        state.setdefault("seen", []).append(p.grad.clone())
        v = 0
        for g in state["seen"]:
            v = group["momentum"] * v + g
        p.data -= group["lr"] * v
    """),
    "momentum in place": answer("momentum", "", """
        if "speed" not in state:
            state["speed"] = torch.zeros_like(p)
        state["speed"].mul_(group["momentum"]).add_(p.grad)
        p.data.sub_(group["lr"] * state["speed"])
    """),
    "momentum as torch begins it": answer("momentum", "", """
        if not state:
            state["buf"] = p.grad.clone()
        else:
            state["buf"].mul_(group["momentum"]).add_(p.grad)
        p.data.add_(state["buf"], alpha=-group["lr"])
    """),
    "momentum with a float32 buffer": answer("momentum", "", """
        v = state.setdefault("v", torch.zeros(p.shape))
        v.mul_(group["momentum"]).add_(p.grad)
        p.data -= group["lr"] * v
    """),
    "momentum kept beside the state": answer("momentum", "", """
        class Mine(Optim):
            def __init__(self, params, lr, momentum=0.9):
                super().__init__(params, dict(lr=lr, beta=momentum))
                self.v = {}

            def my_step(self, p, state, group):
                self.v[p] = group["beta"] * self.v.get(p, 0.0) + p.grad
                p.data -= group["lr"] * self.v[p]
    """),
    "rmsprop in torch's old order of arguments": answer("rmsprop", "", """
        g, alpha = p.grad.data, group["alpha"]
        if len(state) == 0:
            state["square_avg"] = torch.zeros_like(g)
        state["square_avg"].mul_(alpha).addcmul_(1 - alpha, g, g)
        p.data.addcdiv_(-group["lr"], g, state["square_avg"].sqrt().add_(group["eps"]))
    """),
    "rmsprop with keywords": answer("rmsprop", "", """
        v = state.setdefault("v", torch.zeros_like(p))
        v.mul_(group["alpha"]).addcmul_(p.grad, p.grad, value=1 - group["alpha"])
        p.addcdiv_(p.grad, v.sqrt() + group["eps"], value=-group["lr"])
    """),
    "rmsprop with an epsilon of its own": answer("rmsprop", "", """
        class Mine(Optim):
            def __init__(self, params, lr, alpha):
                super().__init__(params, dict(lr=lr, alpha=alpha))

            def my_step(self, p, state, group):
                v = state["v"] if "v" in state else torch.zeros_like(p.data)
                v = v + (1 - group["alpha"]) * (p.grad.data.pow(2) - v)
                state["v"] = v
                p.data = p.data - p.grad.data / (torch.sqrt(v) + 1e-8) * group["lr"]
    """),
    "rmsprop by interpolation": answer("rmsprop", "", """
        if not state:
            state.update(v=torch.zeros_like(p))
        state["v"].lerp_(p.grad.square(), 1 - group["alpha"])
        p.sub_(group["lr"] / (group["eps"] + state["v"] ** 0.5) * p.grad)
    """),
    "adam as torch computes it": answer("adam", "", """
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        t, beta1, beta2 = state["step"].item(), group["momentum"], group["alpha"]
        state["exp_avg"].lerp_(p.grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        denom = (state["exp_avg_sq"].sqrt() / math.sqrt(1 - beta2**t)).add_(group["eps"])
        p.addcdiv_(state["exp_avg"], denom, value=-group["lr"] / (1 - beta1**t))
    """),
    "adam with a counter in a tensor": answer("adam", "", """
        g = p.grad.data
        t = state["t"] = state.get("t", torch.tensor(0)) + 1
        m = state["m"] = group["momentum"] * state.get("m", 0.0) + (1 - group["momentum"]) * g
        v = state["v"] = group["alpha"] * state.get("v", 0.0) + (1 - group["alpha"]) * g * g
        p.data -= group["lr"] * (m / (1 - group["momentum"] ** t)) / (
            torch.sqrt(v / (1 - group["alpha"] ** t)) + group["eps"])
    """),
    "adam with the hats carried": answer("adam", "", """
        t = state["n"] = state.get("n", 0) + 1
        for name, decay, new in (("a", group["momentum"], p.grad), ("b", group["alpha"], p.grad**2)):
            old = state.get(name, torch.zeros_like(p))
            state[name] = old + (1 - decay) / (1 - decay**t) * (new - old)
        p.data.sub_(group["lr"] * state["a"] / (state["b"].sqrt() + group["eps"]))
    """),
    "adam with the powers carried": answer("adam", "", """
        a, b = group["alpha"], group["momentum"]
        if not state:
            state.update(a=1.0, b=1.0, m=torch.zeros_like(p), v=torch.zeros_like(p))
        state["a"] *= a
        state["b"] *= b
        state["m"] = b * state["m"] + (1 - b) * p.grad
        state["v"] = a * state["v"] + (1 - a) * p.grad**2
        p -= group["lr"] * state["m"] / (1 - state["b"]) / (group["eps"] + (state["v"] / (1 - state["a"])).sqrt())
    """),
    "adam with betas and one counter for all": answer("adam", "", """
        class Mine(Optim):
            def __init__(self, params, lr, alpha, momentum, eps=1e-8):
                super().__init__(params, {"lr": lr, "betas": (momentum, alpha), "eps": eps})
                self.t = 0

            def step(self, closure=None):
                self.t += 1
                return super().step(closure)

            def my_step(self, p, state, group):
                b1, b2 = group["betas"]
                if not state:
                    state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
                state["m"] += (1 - b1) * (p.grad - state["m"])
                state["v"] += (1 - b2) * (p.grad.pow(2) - state["v"])
                m, v = state["m"] / (1 - b1**self.t), state["v"] / (1 - b2**self.t)
                p.data -= group["lr"] * m / (v.sqrt() + group["eps"])
    """),
    "adam with its rate corrected, and epsilon with it": answer("adam", "", """
        m, v, t = state.get("all", (0.0, 0.0, 0))
        m, v = m + (1 - group["momentum"]) * (p.grad - m), v + (1 - group["alpha"]) * (p.grad**2 - v)
        t += 1
        state["all"] = m, v, t
        root = (1 - group["alpha"] ** t) ** 0.5
        rate = group["lr"] * root / (1 - group["momentum"] ** t)
        p.data -= rate * m / (v.sqrt() + root * group["eps"])
    """),
    "adam in lists": answer("adam", "", """
        lr, a, b, eps = (group[name] for name in ("lr", "alpha", "momentum", "eps"))
        n = p.numel()
        if "rows" not in state:
            state["rows"], state["t"] = [[0.0, 0.0] for _ in range(n)], 0
        state["t"] += 1
        for i, (row, g) in enumerate(zip(state["rows"], p.grad.flatten().tolist())):
            row[0] = b * row[0] + (1 - b) * g
            row[1] = a * row[1] + (1 - a) * g * g
            hat = row[0] / (1 - b ** state["t"]), row[1] / (1 - a ** state["t"])
            p.data.view(-1)[i] -= lr * hat[0] / (math.sqrt(hat[1]) + eps)
    """),
}  # fmt: skip

# --- wrong ---------------------------------------------------------------------------------------------------------

ADAM = """
    alpha, beta, g = group["alpha"], group["momentum"], p.grad.data
    if not state:
        state["t"] = 0
        state["m"] = torch.zeros_like(p.data)
        state["v"] = torch.zeros_like(p.data)
    state["t"] += 1
    state["m"] = beta * state["m"] + (1 - beta) * g
    state["v"] = alpha * state["v"] + (1 - alpha) * g**2
    m_hat = state["m"] / (1 - beta ** state["t"])
    v_hat = state["v"] / (1 - alpha ** state["t"])
    p.data -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])
"""
ADAM_STEP = textwrap.indent("\ndef my_step(self, p, state, group):" + ADAM, " " * 12)
RMSPROP = """
    if not state:
        state["v"] = torch.zeros_like(p.data)
    state["v"] = group["alpha"] * state["v"] + (1 - group["alpha"]) * p.grad.data**2
    p.data -= group["lr"] * p.grad.data / (state["v"].sqrt() + group["eps"])
"""
MOMENTUM = """
    if not state:
        state["v"] = torch.zeros_like(p.data)
    state["v"] = group["momentum"] * state["v"] + p.grad.data
    p.data -= group["lr"] * state["v"]
"""


MEANS = """
a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
t = state['t'] = state.get('t', 0) + 1
m = state['m'] = b * state.get('m', 0) + (1-b) * g
v = state['v'] = a * state.get('v', 0) + (1-a) * g*g
"""


def adam_step(mistake: str, step: str) -> Answer:
    """Adam with the right means, and a step of its own."""
    return answer("adam", mistake, MEANS + textwrap.dedent(step).strip("\n"))


def slip(method: str, mistake: str, body: str, *changes: tuple[str, str]) -> Answer:
    """A right answer with something else in a line or two of it."""
    for old, new in changes:
        assert old in body, old
        body = body.replace(old, new)
    return answer(method, mistake, body)


REBOUND = "p rebound instead of updated in place"
CHANGED = "p.grad changed in place"
SHARED = "state shared between parameters"
FORGOTTEN = "state never stored"
RESTARTS = "buffer starts again at each step"
PLACE = "parentheses in the wrong place"
COPIED = "first gradient copied instead of zeros"
FLOAT = "python float state"
EARLY = "lr of the first step kept"
KEPT = "p.grad kept, not copied"
SHAPE = "works only for one shape"

CONSTANT_RATE = {
    "momentum as a heavy ball": answer(
        "momentum",
        "",
        """
        now, before = p.data.clone(), state.get("before", p.data)
        p.data += group["momentum"] * (now - before) - group["lr"] * p.grad.data
        state["before"] = now
    """,
    ),
    "momentum with the rate in the velocity": answer(
        "momentum",
        "",
        """
        state["v"] = group["momentum"] * state.get("v", 0) - group["lr"] * p.grad.data
        p.data += state["v"]
    """,
    ),
    "momentum collecting steps": slip(
        "momentum", "", MOMENTUM, ("+ p.grad.data", '+ group["lr"] * p.grad.data'), ('-= group["lr"] * ', "-= ")
    ),
}
"""Right as long as lr stays what it is."""

WRONG = {
    # sgd
    "sgd uphill": answer("sgd", "step uphill", 'p.data += group["lr"] * p.grad.data'),
    "sgd uphill by add_": answer("sgd", "step uphill", 'p.data.add_(p.grad, alpha=group["lr"])'),
    "sgd without a rate": answer("sgd", "lr forgotten", "p.data -= p.grad.data"),
    "sgd rebinding p": answer("sgd", REBOUND, 'p = p - group["lr"] * p.grad'),
    "sgd on a copy": answer("sgd", REBOUND, 'w = p.data.clone()\nw -= group["lr"] * p.grad'),
    "sgd scaling the gradient in place": answer("sgd", CHANGED, 'p.data -= p.grad.data.mul_(group["lr"])'),
    "sgd wiping the gradient": answer("sgd", CHANGED, 'p.data -= group["lr"] * p.grad\np.grad.zero_()'),
    "sgd with half a gradient": answer("sgd", "steps of the wrong length", 'p.data -= 0.5 * group["lr"] * p.grad'),
    "sgd for two coordinates": answer("sgd", SHAPE, """
        p.data[0] -= group["lr"] * p.grad[0]
        p.data[1] -= group["lr"] * p.grad[1]
    """),
    "sgd reading the constructor's rate": answer("sgd", "hyper-parameters not read from the group", """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))
                self.lr = lr

            def my_step(self, p, state, group):
                p.data -= self.lr * p.grad
    """),
    "sgd reading the first group's rate": answer(
        "sgd", "hyper-parameters not read from the group",
        'p.data -= next(iter(self.param_groups))["lr"] * p.grad'),
    "sgd with a rate of its own": answer("sgd", "lr is a fixed number", "p.data -= 0.1 * p.grad"),
    "sgd by the sign": answer("sgd", "the sign of the gradient", 'p.data -= group["lr"] * p.grad.sign()'),
    # momentum
    "momentum uphill": slip("momentum", "step uphill", MOMENTUM, ("p.data -=", "p.data +=")),
    "momentum without a rate": slip("momentum", "lr forgotten", MOMENTUM, ('group["lr"] * ', "")),
    "momentum with the rate twice": slip(
        "momentum", "lr used twice", MOMENTUM, ("+ p.grad.data", '+ group["lr"] * p.grad.data')),
    "momentum as a mean": slip("momentum", "extra one minus decay", MOMENTUM,
                               ("+ p.grad.data", '+ (1 - group["momentum"]) * p.grad.data')),
    "momentum with a minus": slip("momentum", "wrong sign of decay", MOMENTUM, ('= group["m', '= -group["m')),
    "momentum minus the gradient": slip("momentum", "step uphill", MOMENTUM, ("+ p.grad", "- p.grad")),
    "momentum into a local name": slip(
        "momentum", FORGOTTEN, MOMENTUM, ('state["v"] = group', "v = group"), ('* state["v"]\n', "* v\n")),
    "momentum in a local dictionary": slip("momentum", FORGOTTEN, MOMENTUM, ("if not state:", "state = {}\n    if 1:")),
    "momentum never used": slip(
        "momentum", "buffer not used", MOMENTUM, ('group["lr"] * state["v"]', 'group["lr"] * p.grad')),
    "momentum used too early": answer("momentum", "buffer used before its update", """
        v = state.get("v", torch.zeros_like(p))
        p.data -= group["lr"] * v
        state["v"] = group["momentum"] * v + p.grad
    """),
    "momentum beginning with a gradient": slip(
        "momentum", COPIED, MOMENTUM, ("torch.zeros_like(p.data)", "p.grad.clone()")),
    "momentum beginning with the gradient itself": answer("momentum", CHANGED, """
        if not state:
            state["v"] = p.grad
        else:
            state["v"].mul_(group["momentum"]).add_(p.grad)
        state["v"].mul_(1.0).add_(0.0 * p)
        p.data -= group["lr"] * state["v"]
        state["v"] *= 1.5
    """),
    "momentum on the optimizer": answer("momentum", SHARED, """
        class Mine(Optim):
            v = 0

            def __init__(self, params, lr, momentum):
                super().__init__(params, dict(lr=lr, momentum=momentum))

            def my_step(self, p, state, group):
                self.v = group["momentum"] * self.v + p.grad
                p.data -= group["lr"] * self.v
    """),
    "momentum in the group": slip(
        "momentum", SHARED, MOMENTUM, ("if not state:", "state = group\n    if 'v' not in state:")),
    "momentum in a dictionary of the class": answer("momentum", SHARED, """
        class Mine(Optim):
            memory = {}

            def __init__(self, params, lr, momentum):
                super().__init__(params, dict(lr=lr, momentum=momentum))

            def my_step(self, p, state, group):
                v = group["momentum"] * self.memory.get("v", torch.zeros(2)) + p.grad
                self.memory["v"] = v
                p.data -= group["lr"] * v
    """),
    "momentum summing all": slip("momentum", "decay forgotten", MOMENTUM, ('group["momentum"] * state', "state")),
    "momentum that is 0.9": slip("momentum", "momentum is a fixed number", MOMENTUM, ('group["momentum"]', "0.9")),
    "momentum with its letters swapped": slip(
        "momentum", "lr and momentum swapped", MOMENTUM, ("momentum", "beta"), ("lr", "momentum"), ("beta", "lr")),
    "momentum in one number": answer("momentum", FLOAT, """
        state["v"] = group["momentum"] * state.get("v", 0.0) + p.grad.mean().item()
        p.data -= group["lr"] * state["v"]
    """),
    "momentum by item": answer("momentum", FLOAT, """
        state["v"] = group["momentum"] * state.get("v", 0.0) + p.grad.item()
        p.data -= group["lr"] * state["v"]
    """),
    "momentum in a buffer of two": slip("momentum", SHAPE, MOMENTUM, ("torch.zeros_like(p.data)", "torch.zeros(2)")),
    "momentum of Nesterov": slip(
        "momentum", "Nesterov's step", MOMENTUM, ('* state["v"]\n', '* (p.grad + group["momentum"] * state["v"])\n')),
    "sgd remembering the first rate": answer("sgd", EARLY, """
        p.data.sub_(state.setdefault("rate", group["lr"]) * p.grad)
    """),
    "momentum remembering the first group": answer("momentum", EARLY, """
        if not state:
            state.update(v=torch.zeros_like(p), **{name: group[name] for name in ("lr", "momentum")})
        state["v"] = state["momentum"] * state["v"] + p.grad
        p.data -= state["lr"] * state["v"]
    """),
    "adam remembering the first rate": slip(
        "adam", EARLY, ADAM, ('state["t"] = 0', 'state["t"], state["eta"] = 0, group["lr"]'),
        ('group["lr"] * m_hat', 'state["eta"] * m_hat')),
    "sgd with a rate that falls by itself": answer("sgd", "group changed in the step", """
        p.data -= group["lr"] * p.grad
        group["lr"] /= 1.02
    """),
    # right as long as each step has a p.grad of its own
    "momentum keeping the gradient itself": answer("momentum", KEPT, """
        before = state.get("sum")
        state["sum"] = p.grad if before is None else group["momentum"] * before + p.grad
        p.data -= group["lr"] * state["sum"]
    """),
    "momentum adding in place to the first gradient": answer("momentum", KEPT, """
        if "v" in state:
            state["v"].mul_(group["momentum"]).add_(p.grad)
        else:
            state["v"] = p.grad.data
        p.data -= group["lr"] * state["v"]
    """),
    "adam with a list of gradients": answer("adam", KEPT, """
        seen = state.setdefault("seen", [])
        seen.append(p.grad)
        a, b, t = group["alpha"], group["momentum"], len(seen)
        m = sum((1 - b) * b ** (t - 1 - k) * g for k, g in enumerate(seen)) / (1 - b**t)
        v = sum((1 - a) * a ** (t - 1 - k) * g * g for k, g in enumerate(seen)) / (1 - a**t)
        p.data -= group["lr"] * m / (v.sqrt() + group["eps"])
    """),
    # rmsprop
    "rmsprop with epsilon inside": slip(
        "rmsprop", "eps inside the root", RMSPROP,
        ('(state["v"].sqrt() + group["eps"])', '(state["v"] + group["eps"]).sqrt()')),
    "rmsprop with an epsilon of its own, inside": answer("rmsprop", "eps inside the root", """
        class Mine(Optim):
            def __init__(self, params, lr, alpha):
                super().__init__(params, dict(lr=lr, alpha=alpha))

            def my_step(self, p, state, group):
                state["v"] = group["alpha"] * state.get("v", 0) + (1 - group["alpha"]) * p.grad**2
                p.data -= group["lr"] * p.grad / torch.sqrt(state["v"] + 1e-8)
    """),
    "rmsprop without epsilon": slip("rmsprop", "eps not in the denominator", RMSPROP, (' + group["eps"]', "")),
    "rmsprop without a square": slip("rmsprop", "square forgotten", RMSPROP, ("p.grad.data**2", "p.grad.data")),
    "rmsprop without a root": slip("rmsprop", "root forgotten", RMSPROP, (".sqrt()", "")),
    "rmsprop without the gradient": slip(
        "rmsprop", "gradient missing from the step", RMSPROP, ("* p.grad.data /", "/")),
    "rmsprop without dividing": slip(
        "rmsprop", "division forgotten", RMSPROP, (' / (state["v"].sqrt() + group["eps"])', "")),
    "rmsprop weighing the wrong way": slip(
        "rmsprop", "decay and one minus decay swapped", RMSPROP, ('(1 - group["alpha"])', "ALPHA"),
        ('= group["alpha"]', '= (1 - group["alpha"])'), ("ALPHA", 'group["alpha"]')),
    "rmsprop summing squares": slip("rmsprop", "one minus decay forgotten", RMSPROP, ('(1 - group["alpha"]) * ', "")),
    "rmsprop with one plus": slip("rmsprop", "wrong sign of decay", RMSPROP, ("(1 - group", "(1 + group")),
    "rmsprop minus the square": slip("rmsprop", "wrong sign of decay", RMSPROP, ("+ (1 - group", "- (1 - group")),
    "rmsprop beginning with a square": slip(
        "rmsprop", COPIED, RMSPROP, ("torch.zeros_like(p.data)", "p.grad.data**2")),
    "rmsprop beginning with one": slip("rmsprop", "buffer begins at one", RMSPROP, ("zeros_like", "ones_like")),
    "rmsprop squaring in place": slip("rmsprop", CHANGED, RMSPROP, ("p.grad.data**2", "p.grad.data.pow_(2)")),
    "rmsprop with the norm": slip("rmsprop", FLOAT, RMSPROP, ("p.grad.data**2", "p.grad.norm().item() ** 2"),
                                  ("torch.zeros_like(p.data)", "0.0"), ('state["v"].sqrt()', 'math.sqrt(state["v"])')),
    "rmsprop forgetting": slip("rmsprop", RESTARTS, RMSPROP, ("if not state:", "if True:")),
    "rmsprop with a fixed epsilon": slip("rmsprop", "eps has a value of its own", RMSPROP, ('group["eps"]', "1e-8")),
    # adam
    "adam uphill": slip("adam", "step uphill", ADAM, ("p.data -=", "p.data +=")),
    "adam without the first hat": slip("adam", "hat forgotten on one of two", ADAM, ("* m_hat", '* state["m"]')),
    "adam without the second hat": slip(
        "adam", "hat forgotten on one of two", ADAM, ("v_hat.sqrt()", 'state["v"].sqrt()')),
    "adam without correction": slip("adam", "bias correction forgotten", ADAM, ("* m_hat", '* state["m"]'),
                                    ("v_hat.sqrt()", 'state["v"].sqrt()')),
    "adam with the power outside": slip("adam", "one minus, then the power", ADAM,
                                        ('(1 - beta ** state["t"])', '(1 - beta) ** state["t"]'),
                                        ('(1 - alpha ** state["t"])', '(1 - alpha) ** state["t"]')),
    "adam with one power outside": slip("adam", "one minus, then the power", ADAM,
                                        ('(1 - alpha ** state["t"])', '(1 - alpha) ** state["t"]')),
    "adam counting from zero": slip("adam", "counter off by one", ADAM, ('    state["t"] += 1\n', ""),
                                    ('v_hat = ', 'state["t"] += 1\n    v_hat = ')),
    "adam counting from two": slip("adam", "counter off by one", ADAM, ('state["t"] = 0', 'state["t"] = 1')),
    "adam not counting": slip("adam", "counter never advances", ADAM, ('state["t"] += 1', 'state["t"] = 1')),
    "adam staying at zero": slip("adam", "counter never advances", ADAM, ('    state["t"] += 1\n', "")),
    "adam counting twice": slip("adam", "counter advances twice", ADAM, ('state["t"] += 1', 'state["t"] += 2')),
    "adam with one counter": slip("adam", SHARED, ADAM, ('state["t"] = 0', "pass"),
                                  ('state["t"] += 1', 'group["t"] = group.get("t", 0) + 1'),
                                  ('state["t"]', 'group["t"]')),
    "adam with its letters swapped": slip(
        "adam", "momentum and alpha swapped", ADAM, ('alpha, beta, g', 'beta, alpha, g')),
    "adam with one letter": slip(
        "adam", "alpha in the place of momentum", ADAM, ("beta", "alpha"), ("alpha, alpha,", "alpha, beta,")),
    "adam with epsilon inside": slip("adam", "eps inside the root", ADAM, (
        '(v_hat.sqrt() + group["eps"])', '(v_hat + group["eps"]).sqrt()')),
    "adam with epsilon too early": slip("adam", "eps added before the correction", ADAM, (
        '(v_hat.sqrt() + group["eps"])',
        '((state["v"].sqrt() + group["eps"]) / math.sqrt(1 - alpha ** state["t"]))')),
    "adam storing the hat": slip("adam", "corrected mean stored", ADAM, ("m_hat = ", 'm_hat = state["m"] = ')),
    "adam without a square": slip("adam", "square forgotten", ADAM, ("g**2", "g")),
    "adam with the gradient on top": slip("adam", "buffer not used", ADAM, ("* m_hat", "* g")),
    "adam forgetting all but the counter": slip(
        "adam", RESTARTS, ADAM, ("+= 1\n", '+= 1\n    state["m"] = state["v"] = 0\n')),
    "adam beginning with gradients": slip(
        "adam", COPIED, ADAM, ('state["m"] = torch.zeros_like(p.data)', 'state["m"] = g.clone()'),
        ('state["v"] = torch.zeros_like(p.data)', 'state["v"] = g**2')),
    "adam with a product for a power": slip(
        "adam", "a product for a power", ADAM, ('beta ** state["t"]', 'beta * state["t"]')),
    # another symbol, operator or place
    "rmsprop with a size for a square": slip("rmsprop", "square forgotten", RMSPROP, ("data**2", "data.abs()")),
    "rmsprop doubling for squaring": slip("rmsprop", "a product for a power", RMSPROP, ("data**2", "data * 2")),
    "rmsprop of Adagrad": slip("rmsprop", "decay forgotten", RMSPROP, ('group["alpha"] * state["v"]', 'state["v"]'),
                               ('(1 - group["alpha"]) * ', "")),
    "rmsprop adding epsilon to the step": slip(
        "rmsprop", PLACE, RMSPROP, ('(state["v"].sqrt() + group["eps"])', 'state["v"].sqrt() + group["eps"]')),
    "rmsprop with the larger of two": slip("rmsprop", "eps as a floor", RMSPROP, (
        '(state["v"].sqrt() + group["eps"])', 'state["v"].sqrt().clamp(min=group["eps"])')),
    "rmsprop times the root": slip("rmsprop", "multiplied instead of divided", RMSPROP, ("data / (", "data * (")),
    "rmsprop with a correction": slip("rmsprop", "bias correction that the equation hasn't", RMSPROP, (
        'if not state:', 'n = state["n"] = state.get("n", 0) + 1\n    if n == 1:'),
        ('state["v"].sqrt()', '(state["v"] / (1 - group["alpha"] ** n)).sqrt()')),
    "rmsprop keeping the root": slip("rmsprop", "buffer overwritten on the way to the step", RMSPROP,
                                     ('state["v"].sqrt()', 'state["v"].sqrt_()'), (" + group", ".add(group"),
                                     ('["eps"])', '["eps"]))')),
    "rmsprop changing nothing that is kept": slip("rmsprop", "buffer never updated", RMSPROP, (
        'state["v"] = group["alpha"] * state["v"] + (1 - group["alpha"]) * p.grad.data**2',
        'state["v"].mul(group["alpha"]).add(p.grad**2)')),
    "momentum scaling what it keeps": slip("momentum", "buffer overwritten on the way to the step", MOMENTUM, (
        'group["lr"] * state["v"]', 'state["v"].mul_(group["lr"])')),
    "momentum multiplying both": answer("momentum", "the gradient is weighed by momentum too", """
        state["v"] = group["momentum"] * (state.get("v", 0) + p.grad)
        p.data -= group["lr"] * state["v"]
    """),
    "momentum of positions": slip("momentum", "w in the place of g", MOMENTUM, ("p.grad.data", "p.data")),
    "momentum under another key": slip("momentum", RESTARTS, MOMENTUM, ("if not state:", 'if "speed" not in state:')),
    "momentum moving only once": answer("momentum", "only the first step moves", """
        if not state:
            state["v"] = p.grad.clone()
            p.data -= group["lr"] * state["v"]
        state["v"] = group["momentum"] * state["v"] + p.grad
    """),
    "momentum that is two thirds": slip(
        "momentum", "momentum is a fixed number", MOMENTUM, ('group["momentum"]', "(2 / 3)")),
    "adam with an epsilon that is too large": slip(
        "adam", "eps has a value of its own", ADAM, ('group["eps"]', "3e-5")
    ),
    "adam with the first mean over one, minus": slip("adam", PLACE, ADAM, (
        'state["m"] / (1 - beta ** state["t"])', 'state["m"] / 1 - beta ** state["t"]')),
    "adam with its hats exchanged": slip("adam", "momentum and alpha swapped", ADAM, (
        '(1 - beta ** state', '(1 - gamma ** state'), ('(1 - alpha ** state', '(1 - beta ** state'),
        ('(1 - gamma ** state', '(1 - alpha ** state')),
    "adam with its means exchanged": slip("adam", "m_hat and v_hat swapped", ADAM, (
        "* m_hat / (v_hat.sqrt()", "* v_hat / (m_hat.sqrt()")),
    "adam squaring the mean": slip("adam", "m in the place of g", ADAM, ("g**2", 'state["m"] ** 2')),
    "adam with the root first": slip("adam", "root before the correction", ADAM, (
        'state["v"] / (1', 'state["v"].sqrt() / (1'), ("v_hat.sqrt()", "v_hat")),
    "adam never below one": slip("adam", "counter off by one", ADAM, (
        'state["t"] += 1', 't = max(state["t"], 1)'), ('** state["t"]', "** t"),
        ('v_hat.sqrt() + group["eps"])', 'v_hat.sqrt() + group["eps"])\n    state["t"] += 1')),
    "adam with one buffer for two": slip("adam", "one tensor under two names", ADAM, (
        'state["m"] = torch.zeros_like(p.data)', 'state["m"] = state["v"] = torch.zeros_like(p.data)'),
        ('    state["v"] = torch.zeros_like(p.data)\n', ""),
        ('state["m"] = beta * state["m"] + (1 - beta) * g', 'state["m"].mul_(beta).add_((1 - beta) * g)'),
        ('state["v"] = alpha * state["v"] + (1 - alpha) * g**2', 'state["v"].mul_(alpha).add_((1 - alpha) * g**2)')),
    "sgd of unit length": answer("sgd", "coordinates are mixed", 'p.data -= group["lr"] * p.grad / p.grad.norm()'),
    "sgd for tables": answer("sgd", SHAPE, """
        for row in range(p.shape[0]):
            for column in range(p.shape[1]):
                p.data[row, column] -= group["lr"] * p.grad[row, column]
    """),
    # constructors
    "adam with its constructor's letters swapped": answer("adam", "momentum and alpha swapped in the constructor", """
        class Base(Optim):
            def __init__(self, params, lr, alpha, momentum, eps=1e-8):
                super().__init__(params, dict(lr=lr, alpha=alpha, momentum=momentum, eps=eps))
    """ + ADAM_STEP + """
        class Mine(Base):
            def __init__(self, params, lr, alpha, momentum, eps=1e-8):
                super().__init__(params, lr, momentum, alpha, eps)
    """),
    "momentum handing on a number": answer("momentum", "momentum is a fixed number in the constructor", """
        class Mine(Optim):
            def __init__(self, params, lr, momentum=0.9):
                super().__init__(params, dict(lr=lr, momentum=0.9))

            def my_step(self, p, state, group):
                state["v"] = group["momentum"] * state.get("v", 0) + p.grad
                p.data -= group["lr"] * state["v"]
    """),
}  # fmt: skip


# --- by family ------------------------------------------------------------------------------------------------------

RIGHT |= {
    "sgd, plain": answer('sgd', '', """
        p.data -= group['lr'] * p.grad.data
    """),
    "sgd, no_grad sub_": answer('sgd', '', """
        with torch.no_grad():
            p.sub_(group['lr'] * p.grad)
    """),
    "sgd, p.data = new": answer('sgd', '', """
        p.data = p.data - group['lr'] * p.grad.data
    """),
    "momentum, setdefault": answer('momentum', '', """
        v = state.setdefault('v', torch.zeros_like(p))
        v.mul_(group['momentum']).add_(p.grad)
        p.data.add_(v, alpha=-group['lr'])
    """),
    "momentum, first clone": answer('momentum', '', """
        if 'b' not in state:
            state['b'] = p.grad.clone()
        else:
            state['b'] = group['momentum'] * state['b'] + p.grad
        p.data -= group['lr'] * state['b']
    """),
    "momentum, by displacement w-w_old": answer('momentum', '', """
        old = state.get('old', p.data.clone())
        last = state.get('lr', group['lr'])
        v = (old - p.data) / last
        v = group['momentum'] * v + p.grad
        state['old'] = p.data.clone()
        state['lr'] = group['lr']
        p.data -= group['lr'] * v
    """),
    "rmsprop, addcmul": answer('rmsprop', '', """
        v = state.setdefault('v', torch.zeros_like(p.data))
        v.mul_(group['alpha']).addcmul_(p.grad, p.grad, value=1 - group['alpha'])
        p.data.addcdiv_(p.grad, v.sqrt().add_(group['eps']), value=-group['lr'])
    """),
    "rmsprop, lerp": answer('rmsprop', '', """
        v = state.setdefault('v', torch.zeros_like(p.data))
        v.lerp_(p.grad.square(), 1 - group['alpha'])
        p.data -= group['lr'] * p.grad / (torch.sqrt(v) + group['eps'])
    """),
    "adam, efficient": answer('adam', '', """
        a, b = group['alpha'], group['momentum']
        m = state.setdefault('m', torch.zeros_like(p.data))
        v = state.setdefault('v', torch.zeros_like(p.data))
        t = state['t'] = state.get('t', 0) + 1
        m.mul_(b).add_(p.grad, alpha=1-b)
        v.mul_(a).addcmul_(p.grad, p.grad, value=1-a)
        den = (v.sqrt() / (1 - a**t)**0.5).add_(group['eps'])
        p.data.addcdiv_(m, den, value=-group['lr'] / (1 - b**t))
    """),
    "adam, tensor counter": answer('adam', '', """
        g = p.grad.data
        if len(state) == 0:
            state['step'] = torch.tensor(0.)
            state['exp_avg'] = torch.zeros_like(g)
            state['exp_avg_sq'] = torch.zeros_like(g)
        state['step'] += 1
        t = state['step'].item()
        state['exp_avg'] += (1 - group['momentum']) * (g - state['exp_avg'])
        state['exp_avg_sq'] += (1 - group['alpha']) * (g * g - state['exp_avg_sq'])
        mh = state['exp_avg'] / (1 - group['momentum'] ** t)
        vh = state['exp_avg_sq'] / (1 - group['alpha'] ** t)
        p.data = p.data - group['lr'] * mh / (vh ** 0.5 + group['eps'])
    """),
    "adam, running products": answer('adam', '', """
        if not state:
            state.update(m=torch.zeros_like(p.data), v=torch.zeros_like(p.data), pb=1., pa=1.)
        state['pb'] *= group['momentum']
        state['pa'] *= group['alpha']
        state['m'] = group['momentum']*state['m'] + (1-group['momentum'])*p.grad
        state['v'] = group['alpha']*state['v'] + (1-group['alpha'])*p.grad**2
        p.data -= group['lr']*(state['m']/(1-state['pb']))/((state['v']/(1-state['pa'])).sqrt()+group['eps'])
    """),
    "momentum, dict on self": answer('momentum', '', """
        if not hasattr(self, 'bufs'):
            self.bufs = {}
        v = self.bufs.get(p, 0) * group['momentum'] + p.grad
        self.bufs[p] = v
        p.data -= group['lr'] * v
    """),
    "momentum cut to float32 at each step": answer('momentum', '', """
        if 'v' not in state:
            state['v'] = torch.zeros(p.shape)
        state['v'] = (group['momentum'] * state['v'] + p.grad).float()
        p.data -= group['lr'] * state['v']
    """),
}  # fmt: skip

NAMED = {
    "sgd: ascent (sign)": answer('sgd', 'step uphill', """
        p.data += group['lr'] * p.grad.data
    """),
    "sgd: weight decay coupled": answer('sgd', 'weight decay in the gradient', """
        p.data -= group['lr'] * (p.grad.data + 0.01 * p.data)
    """),
    "sgd: lr decays by itself": answer('sgd', 'lr changes by itself', """
        t = state['t'] = state.get('t', 0) + 1
        p.data -= group['lr'] / t * p.grad.data
    """),
    "sgd: lr decays by itself (sqrt)": answer('sgd', 'lr changes by itself', """
        t = state['t'] = state.get('t', 0) + 1
        p.data -= group['lr'] / t**0.5 * p.grad.data
    """),
    "sgd: writes group lr (decays lr)": answer('sgd', 'group changed in the step', """
        p.data -= group['lr'] * p.grad.data
        group['lr'] *= 0.99
    """),
    "sgd: lr ignored": answer('sgd', 'lr is a fixed number', """
        p.data -= 0.01 * p.grad.data
    """),
    "sgd: never moves (local p)": answer('sgd', 'p rebound instead of updated in place', """
        p = p - group['lr'] * p.grad
    """),
    "sgd: never moves (local data)": answer('sgd', 'p rebound instead of updated in place', """
        w = p.data.clone()
        w -= group['lr'] * p.grad.data
    """),
    "sgd: sign of gradient (signSGD)": answer('sgd', 'the sign of the gradient', """
        p.data -= group['lr'] * p.grad.sign()
    """),
    "sgd: normalised gradient": answer('sgd', 'the gradient is divided by its norm', """
        p.data -= group['lr'] * p.grad / p.grad.norm()
    """),
    "sgd: clipped gradient": answer('sgd', 'the gradient is clipped', """
        p.data -= group['lr'] * p.grad.clamp(-1, 1)
    """),
    "sgd: lr squared": answer('sgd', 'lr used twice', """
        p.data -= group['lr']**2 * p.grad
    """),
    "sgd: step does twice": answer('sgd', 'steps of the wrong length', """
        p.data -= group['lr'] * p.grad
        p.data -= group['lr'] * p.grad
    """),
    "sgd: missing lr": answer('sgd', 'lr forgotten', """
        p.data -= p.grad
    """),
    "sgd: gradient accumulates (adds all)": answer('sgd', 'gradients are added up', """
        state['g'] = state.get('g', 0) + p.grad
        p.data -= group['lr'] * state['g']
    """),
    "sgd: previous gradient": answer('sgd', 'the gradient of the step before', """
        old = state.get('g', torch.zeros_like(p.grad))
        state['g'] = p.grad.clone()
        p.data -= group['lr'] * old
    """),
    "momentum: nesterov (torch)": answer('momentum', "Nesterov's step", """
        v = state.get('v', 0) * group['momentum'] + p.grad
        state['v'] = v
        p.data -= group['lr'] * (p.grad + group['momentum'] * v)
    """),
    "momentum: nesterov (lookahead diff form)": answer('momentum', "Nesterov's step", """
        old = state.get('v', torch.zeros_like(p.data))
        new = group['momentum'] * old - group['lr'] * p.grad
        state['v'] = new
        p.data += -group['momentum'] * old + (1 + group['momentum']) * new
    """),
    "momentum: dampening (EMA)": answer('momentum', 'extra one minus decay', """
        v = state.get('v', 0) * group['momentum'] + (1-group['momentum']) * p.grad
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "momentum: dampening (torch)": answer('momentum', 'dampening', """
        v = state['v'] * group['momentum'] + 0.7 * p.grad if 'v' in state else p.grad.clone()
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "nesterov: dampening (torch)": answer('nesterov', 'dampening', """
        v = state['v'] * group['momentum'] + 0.7 * p.grad if 'v' in state else p.grad.clone()
        state['v'] = v
        p.data -= group['lr'] * (p.grad + group['momentum'] * v)
    """),
    "momentum: uses old v": answer('momentum', 'buffer used before its update', """
        v = state.get('v', torch.zeros_like(p.data))
        p.data -= group['lr'] * v
        state['v'] = v * group['momentum'] + p.grad
    """),
    "momentum: buffer shared over parameters": answer('momentum', 'coordinates are mixed', """
        self.v = getattr(self, 'v', 0) * group['momentum'] + p.grad.sum()
        p.data -= group['lr'] * self.v
    """),
    "momentum: buffer reset": answer('momentum', 'buffer starts again at each step', """
        state['v'] = torch.zeros_like(p.data)
        state['v'] = group['momentum'] * state['v'] + p.grad
        p.data -= group['lr'] * state['v']
    """),
    "momentum: momentum fixed 0.9": answer('momentum', 'momentum is a fixed number', """
        v = state.get('v', 0) * 0.9 + p.grad
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "momentum: sign of v": answer('momentum', 'the sign of the buffer', """
        v = state.get('v', 0) * group['momentum'] + p.grad
        state['v'] = v
        p.data -= group['lr'] * v.sign()
    """),
    "momentum: 1-b on old": answer('momentum', 'decay and one minus decay swapped', """
        v = state.get('v', 0) * (1-group['momentum']) + p.grad
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "momentum: bias-corrected EMA": answer('momentum',
        "extra one minus decay, and bias correction that the equation hasn't", """
        t = state['t'] = state.get('t', 0) + 1
        b = group['momentum']
        v = state.get('v', 0) * b + (1-b) * p.grad
        state['v'] = v
        p.data -= group['lr'] * v / (1 - b**t)
    """),
    "momentum: weight decay decoupled": answer('momentum', 'weight decay beside the step', """
        v = state.get('v', 0) * group['momentum'] + p.grad
        state['v'] = v
        p.data -= group['lr'] * (v + 0.01 * p.data)
    """),
    "momentum: weight decay + EMA (pair)": answer('momentum', 'the step depends on w', """
        v = state.get('v', 0) * group['momentum'] + (1-group['momentum'])*p.grad
        state['v'] = v
        p.data -= group['lr'] * (v + 0.01 * p.data)
    """),
    "momentum: sign wrong in v (minus g)": answer('momentum', 'step uphill', """
        v = state.get('v', 0) * group['momentum'] - p.grad
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "momentum: alias of p.data as buffer": answer('momentum', 'buffer begins at the parameter', """
        if 'v' not in state:
            state['v'] = p.data
        state['v'] = group['momentum'] * state['v'] + p.grad
        p.data -= group['lr'] * state['v']
    """),
    "momentum: buffer starts at w": answer('momentum', 'buffer begins at the parameter', """
        if 'v' not in state:
            state['v'] = p.data.clone()
        state['v'] = group['momentum'] * state['v'] + p.grad
        p.data -= group['lr'] * state['v']
    """),
    "momentum: alias of grad": answer('momentum', 'p.grad kept, not copied', """
        if 'v' not in state:
            state['v'] = p.grad
        else:
            state['v'].mul_(group['momentum']).add_(p.grad)
        p.data -= group['lr'] * state['v']
    """),
    "momentum: decays only for momentum>0 wrong at 0": answer('momentum', 'goes wrong where momentum is 0', """
        b = group['momentum'] or 0.9
        v = state.get('v', 0) * b + p.grad
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "momentum: decays momentum itself": answer('momentum', 'momentum changes by itself', """
        t = state['t'] = state.get('t', 0) + 1
        v = state.get('v', 0) * group['momentum']**t + p.grad
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "momentum: momentum times grad too (extra beta)": answer('momentum', 'the gradient is weighed by momentum too', """
        v = group['momentum'] * (state.get('v', 0) + p.grad)
        state['v'] = v
        p.data -= group['lr'] * v
    """),
    "rmsprop: eps in root": answer('rmsprop', 'eps inside the root', """
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v + group['eps']).sqrt()
    """),
    "rmsprop: no root": answer('rmsprop', 'root forgotten', """
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v + group['eps'])
    """),
    "rmsprop: centred": answer('rmsprop', 'centred mean square', """
        a = group['alpha']
        m = a * state.get('m', 0) + (1-a) * p.grad
        state['m'] = m
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / ((v - m*m).clamp(min=0).sqrt() + group['eps'])
    """),
    "rmsprop: adagrad": answer('rmsprop', 'decay forgotten', """
        v = state.get('v', 0) + p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v.sqrt() + group['eps'])
    """),
    "rmsprop: bias correction": answer('rmsprop', "bias correction that the equation hasn't", """
        t = state['t'] = state.get('t', 0) + 1
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / ((v/(1-a**t)).sqrt() + group['eps'])
    """),
    "rmsprop: adadelta": answer('rmsprop', "Adadelta's step", """
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * p.grad**2
        state['v'] = v
        d = state.get('d', torch.zeros_like(p))
        dx = p.grad * (d + group['eps']).sqrt() / (v + group['eps']).sqrt()
        state['d'] = a * d + (1-a) * dx**2
        p.data -= group['lr'] * dx
    """),
    "rmsprop: v starts at one": answer('rmsprop', 'buffer begins at one', """
        a = group['alpha']
        v = a * state.get('v', torch.ones_like(p)) + (1-a) * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v.sqrt() + group['eps'])
    """),
    "rmsprop: v starts at g^2": answer('rmsprop', 'first gradient copied instead of zeros', """
        a = group['alpha']
        v = a * state.get('v', p.grad**2) + (1-a) * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v.sqrt() + group['eps'])
    """),
    "rmsprop: no square": answer('rmsprop', 'square forgotten', """
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * p.grad.abs()
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v.sqrt() + group['eps'])
    """),
    "rmsprop: eps missing": answer('rmsprop', 'eps not in the denominator', """
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / v.sqrt()
    """),
    "rmsprop: rates swapped": answer('rmsprop', 'decay and one minus decay swapped', """
        a = group['alpha']
        v = (1-a) * state.get('v', 0) + a * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v.sqrt() + group['eps'])
    """),
    "rmsprop: swapped + eps in root (pair)": answer('rmsprop',
        'eps inside the root, and decay and one minus decay swapped', """
        a = group['alpha']
        v = (1-a) * state.get('v', 0) + a * p.grad**2
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v + group['eps']).sqrt()
    """),
    "rmsprop: mean over coordinates": answer('rmsprop', 'coordinates are mixed', """
        a = group['alpha']
        v = a * state.get('v', 0) + (1-a) * (p.grad**2).mean()
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v.sqrt() + group['eps'])
    """),
    "adam: efficient form wrong eps": adam_step('eps added before the correction', """
        p.data -= lr * (1-a**t)**0.5/(1-b**t) * m / (v.sqrt() + eps)
    """),
    "adam: adamw": adam_step('weight decay beside the step', """
        p.data *= 1 - lr*0.01
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: L2": answer('adam', 'weight decay in the gradient', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        g = g + 0.01 * p.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * g*g
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: amsgrad": adam_step("AMSGrad's largest mean", """
        vm = state['vm'] = torch.maximum(state.get('vm', v), v)
        p.data -= lr * (m/(1-b**t)) / ((vm/(1-a**t)).sqrt() + eps)
    """),
    "adam: amsgrad on corrected": adam_step("AMSGrad's largest mean", """
        vh = v/(1-a**t)
        vm = state['vm'] = torch.maximum(state.get('vm', vh), vh)
        p.data -= lr * (m/(1-b**t)) / (vm.sqrt() + eps)
    """),
    "adam: nadam (Dozat simple)": adam_step("NAdam's look ahead", """
        mh = b*m/(1-b**(t+1)) + (1-b)*g/(1-b**t)
        p.data -= lr * mh / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: nadam (b*mhat form)": adam_step("NAdam's look ahead", """
        mh = b*m/(1-b**t) + (1-b)*g/(1-b**t)
        p.data -= lr * mh / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: adabelief": answer('adam', "AdaBelief's mean", """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * (g-m)**2
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: adabelief with eps": answer('adam', "AdaBelief's mean", """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * (g-m)**2 + eps
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: adamax": answer('adam', "AdaMax's largest gradient", """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = torch.maximum(a * state.get('v', torch.zeros_like(g)), g.abs())
        p.data -= lr / (1-b**t) * m / (v + eps)
    """),
    "adam: no bias correction": adam_step('bias correction forgotten', "p.data -= lr * m / (v.sqrt() + eps)"),
    "adam: only m corrected": adam_step('hat forgotten on one of two', """
        p.data -= lr * (m/(1-b**t)) / (v.sqrt() + eps)
    """),
    "adam: only v corrected": adam_step('hat forgotten on one of two', """
        p.data -= lr * m / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: eps in root": adam_step('eps inside the root', "p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)) + eps).sqrt()"),
    "adam: counter never advances": answer('adam', 'the correction does not depend on t', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * g*g
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: counter starts at 0 -> nan": answer('adam', 'counter off by one', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state.get('t', 0)
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * g*g
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
        state['t'] = t + 1
    """),
    "adam: counter one ahead": answer('adam', 'counter off by one', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 1) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * g*g
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: counter shared over params": answer('adam', 'state shared between parameters', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = self.t = getattr(self, 't', 0) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * g*g
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: correction without t and without 1-b (counterless)": answer('adam',
        'the correction does not depend on t, and one minus decay forgotten', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + g
        v = state['v'] = a * state.get('v', 0) + g*g
        p.data -= lr * (m/(1-b)) / ((v/(1-a)).sqrt() + eps)
    """),
    "adam: correction without power": adam_step('the correction does not depend on t', """
        p.data -= lr * (m/(1-b)) / ((v/(1-a)).sqrt() + eps)
    """),
    "adam: stores corrected m and v": adam_step('corrected mean stored', """
        m = state['m'] = m/(1-b**t)
        v = state['v'] = v/(1-a**t)
        p.data -= lr * m / (v.sqrt() + eps)
    """),
    "adam: alpha and beta exchanged": answer('adam', 'momentum and alpha swapped', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = a * state.get('m', 0) + (1-a) * g
        v = state['v'] = b * state.get('v', 0) + (1-b) * g*g
        p.data -= lr * (m/(1-a**t)) / ((v/(1-b**t)).sqrt() + eps)
    """),
    "adam: corrections exchanged": adam_step('momentum and alpha swapped', """
        p.data -= lr * (m/(1-a**t)) / ((v/(1-b**t)).sqrt() + eps)
    """),
    "adam: factors missing (1-b)": answer('adam', 'one minus decay forgotten', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + g
        v = state['v'] = a * state.get('v', 0) + g*g
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: v from m": answer('adam', 'm in the place of g', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.data
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * m*m
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: m^2 hat in root; no root + eps (pair)": adam_step('hat forgotten on one of two, and root forgotten', """
        p.data -= lr * m / ((v/(1-a**t)) + eps)
    """),
    "adam: no correction + eps in root (pair)": adam_step('eps inside the root, and bias correction forgotten', """
        p.data -= lr * m / (v + eps).sqrt()
    """),
    "adam: uses g for m in step": adam_step('buffer not used', "p.data -= lr * g / ((v/(1-a**t)).sqrt() + eps)"),
    "adam: in-place on p with grad (missing data)": adam_step('p set to the step', """
        p.data = lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "adam: decoupled decay without lr": adam_step('weight decay beside the step', """
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
        p.data -= 0.001 * p.data
    """),
    "adam: sign(m)": adam_step('the sign of the buffer', "p.data -= lr * m.sign()"),
    "adam: eps fixed 1e-3": adam_step('eps has a value of its own', """
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + 1e-3)
    """),
    "adam: parenthesis: root over numerator": adam_step('parentheses in the wrong place', """
        p.data -= lr * (m/(1-b**t)) / (v/(1-a**t)).sqrt() + eps
    """),
    "adam: warm-up of lr": adam_step('lr changes by itself', """
        lr = lr * min(1, t/10)
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    # what is told apart by one more look
    "sgd: squared gradient": answer("sgd", "the square of the gradient", "p.data -= group['lr'] * p.grad**2"),
    "sgd: over lr": answer("sgd", "divided instead of multiplied", "p.data -= p.grad / group['lr']"),
    "sgd: normalised by a floor": answer("sgd", "the gradient is divided by its norm", """
        p.data -= group['lr'] * p.grad / p.grad.norm().clamp(min=1e-12)
    """),
    "sgd: norm clipped to two": answer("sgd", "the gradient is clipped by its norm", """
        p.data -= group['lr'] * p.grad * torch.clamp(2 / p.grad.norm(), max=1)
    """),
    "sgd: clipped far out": answer("sgd", "goes wrong where the gradient is large", """
        p.data -= group['lr'] * p.grad.clamp(-100, 100)
    """),
    "sgd: norm clipped far out": answer("sgd", "goes wrong where the gradient is large", """
        p.data -= group['lr'] * p.grad * min(1, 50 / p.grad.norm())
    """),
    "adam: clipped far out": answer('adam', 'goes wrong where the gradient is large', """
        a, b, lr, eps, g = group['alpha'], group['momentum'], group['lr'], group['eps'], p.grad.clamp(-20, 20)
        t = state['t'] = state.get('t', 0) + 1
        m = state['m'] = b * state.get('m', 0) + (1-b) * g
        v = state['v'] = a * state.get('v', 0) + (1-a) * g*g
        p.data -= lr * (m/(1-b**t)) / ((v/(1-a**t)).sqrt() + eps)
    """),
    "sgd: mean over the coordinates": answer("sgd", "the step depends on the shape", """
        p.data -= group['lr'] * p.grad / len(p.grad.flatten())
    """),
    "sgd: moves them all": answer("sgd", "goes wrong with several parameters", """
        for other in (q for g in self.param_groups for q in g['params'] if q.grad is not None):
            other.data -= group['lr'] * other.grad
    """),
    "sgd: heavy": answer("sgd", "momentum that the equation hasn't", """
        state['d'] = 0.6 * state.get('d', 0) - group['lr'] * p.grad
        p.data += state['d']
    """),
    "sgd: jitter": answer("sgd", "another run takes other steps", """
        p.data -= group['lr'] * p.grad * (1 + 0.1 * torch.rand(1, dtype=p.dtype))
    """),
    "sgd: dropout": answer("sgd", "another run takes other steps", """
        p.data -= group['lr'] * p.grad * (torch.rand_like(p) < 0.9)
    """),
    "sgd: rounded": answer("sgd", "p rounded to float32", "p.data = (p - group['lr'] * p.grad).float().double()"),
    "sgd: last row only": answer("sgd", "some coordinates never move", "p.data[-1] -= group['lr'] * p.grad[-1]"),
    "sgd: leaves early": answer("sgd", "some steps do not move", """
        if p.grad.abs().max() > 0.9:
            p.data -= group['lr'] * p.grad
    """),
    "sgd: drifts": answer("sgd", "a constant in the step", "p.data -= group['lr'] * p.grad + 0.002"),
    "sgd: a step for no gradient": answer("sgd", "goes wrong where p has no gradient", """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))
            @torch.no_grad()
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group['params']:
                        p -= group['lr'] * (torch.ones_like(p) if p.grad is None else p.grad)
    """),
    "momentum: drifts": answer("momentum", "a constant in the step", """
        state['v'] = group['momentum'] * state.get('v', 0) + p.grad
        p.data -= group['lr'] * (state['v'] - 0.01)
    """),
    "momentum: one gradient back": answer("momentum", "only the last gradient is remembered", """
        p.data -= group['lr'] * (p.grad + group['momentum'] * state.get('last', 0))
        state['last'] = p.grad.clone()
    """),
    "momentum: bounded": answer("momentum", "the buffer is clipped", """
        state['v'] = (group['momentum'] * state.get('v', 0) + p.grad).clamp(-1.5, 1.5)
        p.data -= group['lr'] * state['v']
    """),
    "rmsprop: heavy": answer("rmsprop", "momentum that the equation hasn't", """
        state['v'] = group['alpha'] * state.get('v', 0) + (1 - group['alpha']) * p.grad**2
        state['d'] = 0.8 * state.get('d', 0) + p.grad / (state['v'].sqrt() + group['eps'])
        p.data -= group['lr'] * state['d']
    """),
    "rmsprop: size of a mean": slip(
        "rmsprop", "square forgotten", RMSPROP,
        ("p.grad.data**2", "p.grad.data"), ('state["v"].sqrt()', 'state["v"].abs().sqrt()')),
    "rmsprop: power and half": slip("rmsprop", PLACE, RMSPROP, ('state["v"].sqrt()', 'state["v"] ** 1 / 2')),
    "rmsprop: one minus all": slip("rmsprop", PLACE, RMSPROP, (
        '(1 - group["alpha"]) * p.grad.data**2', '(1 - group["alpha"] * p.grad.data**2)'),
        ('state["v"].sqrt()', 'state["v"].abs().sqrt()')),
    "rmsprop: all under the root": slip("rmsprop", "lr under the root, and eps inside the root", RMSPROP, (
        'group["lr"] * p.grad.data / (state["v"].sqrt() + group["eps"])',
        'p.grad.data * (group["lr"] / (state["v"] + group["eps"])).sqrt()')),
    "adam: first mean corrected twice": slip("adam", "corrected twice", ADAM, (
        '* m_hat', '* m_hat / (1 - beta ** state["t"])')),
    "adam: of Yogi": slip("adam", "Yogi's mean", ADAM, (
        'alpha * state["v"] + (1 - alpha) * g**2',
        'state["v"] - (1 - alpha) * torch.sign(state["v"] - g**2) * g**2')),
    "adam: of Lion": answer("adam", "all steps have the same length", """
        m = state.get('m', torch.zeros_like(p))
        p.data -= group['lr'] * torch.sign(group['momentum'] * m + (1 - group['momentum']) * p.grad)
        state['m'] = group['alpha'] * m + (1 - group['alpha']) * p.grad
    """),
    "adam: the usual numbers": slip("adam", "momentum and alpha have no effect", ADAM, (
        'alpha, beta, g = group["alpha"], group["momentum"]', 'alpha, beta, g = 0.95, 0.9')),
    "adam: sum without a correction": slip(
        "adam", "one minus decay forgotten, and bias correction forgotten", ADAM,
        ("(1 - beta) * g\n", "g\n"), ("* m_hat", '* state["m"]')),
}  # fmt: skip
"""Wrong answers whose names have near rivals: each has to get its own."""
WRONG |= NAMED

FAULTY = {
    "sgd: in place on a leaf": answer('sgd', 'p changed without no_grad', """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group['params']:
                        if p.grad is not None:
                            self.my_step(p, self.state[p], group)
            def my_step(self, p, state, group):
                p -= group['lr'] * p.grad
    """),
    "sgd: float32": answer('sgd', 'p becomes float32', """
        p.data = p.data.float() - group['lr'] * p.grad.float()
    """),
    "sgd: breakpoint": answer('sgd', 'a breakpoint is left in', """
        breakpoint()
        p.data -= group['lr'] * p.grad
    """),
    "sgd: needs grad for None (overrides step)": answer('sgd', 'fails where p has no gradient', """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group['params']:
                        self.my_step(p, self.state[p], group)
            def my_step(self, p, state, group):
                p.data -= group['lr'] * p.grad.data
    """),
    "sgd: closure not called": answer('sgd', 'step takes no closure', """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))
            def step(self):
                for group in self.param_groups:
                    for p in group['params']:
                        if p.grad is not None:
                            self.my_step(p, self.state[p], group)
            def my_step(self, p, state, group):
                p.data -= group['lr'] * p.grad.data
    """),
    "sgd: exchanged arguments": answer('sgd', 'arguments of my_step exchanged', """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))
            def my_step(self, p, group, state):
                p.data -= group['lr'] * p.grad.data
    """),
    "rmsprop: fails at alpha=0 (eps fine, divides by alpha)": answer('rmsprop', 'goes wrong where alpha is 0', """
        a = group['alpha']
        v = a * (state.get('v', 0) + (1-a)/a * p.grad**2)
        state['v'] = v
        p.data -= group['lr'] * p.grad / (v.sqrt() + group['eps'])
    """),
}  # fmt: skip
"""Wrong answers that break off."""
