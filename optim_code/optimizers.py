"""The optimizers of the book, as its sections print them."""

from __future__ import annotations

import torch

from optim_code.optim import Optim


class SGDOptimizer(Optim):
    r"""SGD: stochastic gradient descent, :math:`w \leftarrow w - \eta g`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-sgd``; :class:`torch.optim.SGD` without momentum.
    """

    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))

    def my_step(self, p, state, group):
        p.add_(p.grad, alpha=-group["lr"])


class SGDMomentumOptimizer(Optim):
    r"""Momentum: gradient descent that adds up its gradients.

    :math:`v \leftarrow \beta v + g`, :math:`w \leftarrow w - \eta v`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.
        momentum: the momentum :math:`\beta`, :math:`0 \le \beta < 1`.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-momentum``; :class:`torch.optim.SGD` with ``momentum``.
    """

    def __init__(self, params, lr, momentum):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    def my_step(self, p, state, group):
        if not state:
            state["v"] = torch.zeros_like(p)
        state["v"].mul_(group["momentum"]).add_(p.grad)
        p.add_(state["v"], alpha=-group["lr"])


class RMSPropOptimizer(Optim):
    r"""RMSProp: the gradient divided by the root of its running mean square.

    :math:`v \leftarrow \alpha v + (1-\alpha) g^2`, :math:`w \leftarrow w - \eta g / (\sqrt v + \varepsilon)`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.
        alpha: the decay of the squared gradient :math:`\alpha`, :math:`0 \le \alpha < 1`.
        eps: the constant :math:`\varepsilon \ge 0` that keeps the division finite; outside the root.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-rmsprop``; :class:`torch.optim.RMSprop`.
    """

    def __init__(self, params, lr, alpha, eps=1e-8):
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps))

    def my_step(self, p, state, group):
        alpha, g = group["alpha"], p.grad
        if not state:
            state["v"] = torch.zeros_like(p)
        state["v"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        root = state["v"].sqrt().add_(group["eps"])
        p.addcdiv_(g, root, value=-group["lr"])


class AdamOptimizer(Optim):
    r"""Adam: momentum over RMSProp, both averages corrected for their start at zero.

    :math:`m \leftarrow \beta m + (1-\beta) g`, :math:`v \leftarrow \alpha v + (1-\alpha) g^2`,
    :math:`\hat m = m / (1-\beta^t)`, :math:`\hat v = v / (1-\alpha^t)`,
    :math:`w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \varepsilon)`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.
        alpha: the decay of the squared gradient :math:`\alpha`, :math:`0 \le \alpha < 1`.
        momentum: the momentum :math:`\beta`, :math:`0 \le \beta < 1`.
        eps: the constant :math:`\varepsilon \ge 0` that keeps the division finite; outside the root.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-adam``; :class:`torch.optim.Adam` with ``betas=(momentum, alpha)``. The paper's
    :math:`\beta_1` is our :math:`\beta`, its :math:`\beta_2` our :math:`\alpha`, and its :math:`\alpha` our
    :math:`\eta`.
    """

    def __init__(self, params, lr, alpha, momentum, eps=1e-8):
        defaults = dict(lr=lr, alpha=alpha, momentum=momentum, eps=eps)
        super().__init__(params, defaults)

    def my_step(self, p, state, group):
        alpha, beta, g = group["alpha"], group["momentum"], p.grad
        if not state:
            state["t"] = 0
            state["m"] = torch.zeros_like(p)
            state["v"] = torch.zeros_like(p)
        state["t"] += 1
        state["m"].lerp_(g, 1 - beta)
        state["v"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        m_hat = state["m"] / (1 - beta ** state["t"])
        v_hat = state["v"] / (1 - alpha ** state["t"])
        root = v_hat.sqrt_().add_(group["eps"])
        p.addcdiv_(m_hat, root, value=-group["lr"])


class SGDNesterovOptimizer(Optim):
    r"""Nesterov: momentum that steps by the velocity that it is about to have.

    :math:`v \leftarrow \beta v + g`, :math:`w \leftarrow w - \eta (g + \beta v)`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.
        momentum: the momentum :math:`\beta`, :math:`0 \le \beta < 1`.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-nesterov``; :class:`torch.optim.SGD` with ``momentum`` and ``nesterov=True``.
    """

    def __init__(self, params, lr, momentum):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    def my_step(self, p, state, group):
        if not state:
            state["v"] = torch.zeros_like(p)
        state["v"].mul_(group["momentum"]).add_(p.grad)
        p.add_(p.grad, alpha=-group["lr"])
        p.add_(state["v"], alpha=-group["lr"] * group["momentum"])


class AdagradOptimizer(Optim):
    r"""AdaGrad: the gradient divided by the root of the sum of its squares.

    :math:`v \leftarrow v + g^2`, :math:`w \leftarrow w - \eta g / (\sqrt v + \varepsilon)`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.
        eps: the constant :math:`\varepsilon \ge 0` that keeps the division finite; outside the root.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-adagrad``; :class:`torch.optim.Adagrad`, whose ``eps`` is 1e-10 if none is given.
    """

    def __init__(self, params, lr, eps=1e-8):
        super().__init__(params, dict(lr=lr, eps=eps))

    def my_step(self, p, state, group):
        if not state:
            state["v"] = torch.zeros_like(p)
        state["v"].addcmul_(p.grad, p.grad)
        root = state["v"].sqrt().add_(group["eps"])
        p.addcdiv_(p.grad, root, value=-group["lr"])


class AdamWOptimizer(Optim):
    r"""AdamW: Adam whose weights decay beside the step, not in the gradient.

    As Adam, but :math:`w \leftarrow w - \eta \delta w - \eta \hat m / (\sqrt{\hat v} + \varepsilon)`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.
        alpha: the decay of the squared gradient :math:`\alpha`, :math:`0 \le \alpha < 1`.
        momentum: the momentum :math:`\beta`, :math:`0 \le \beta < 1`.
        weight_decay: the weight decay :math:`\delta \ge 0`.
        eps: the constant :math:`\varepsilon \ge 0` that keeps the division finite; outside the root.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-adamw``; :class:`torch.optim.AdamW` with ``betas=(momentum, alpha)``.
    """

    def __init__(self, params, lr, alpha, momentum, weight_decay, eps=1e-8):
        defaults = dict(lr=lr, alpha=alpha, momentum=momentum)
        defaults |= dict(weight_decay=weight_decay, eps=eps)
        super().__init__(params, defaults)

    def my_step(self, p, state, group):
        alpha, beta, g = group["alpha"], group["momentum"], p.grad
        if not state:
            state["t"] = 0
            state["m"] = torch.zeros_like(p)
            state["v"] = torch.zeros_like(p)
        state["t"] += 1
        state["m"].lerp_(g, 1 - beta)
        state["v"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        m_hat = state["m"] / (1 - beta ** state["t"])
        v_hat = state["v"] / (1 - alpha ** state["t"])
        root = v_hat.sqrt_().add_(group["eps"])
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(m_hat, root, value=-group["lr"])


class AdamAMSGradOptimizer(Optim):
    r"""AMSGrad: Adam that divides by the root of the largest mean of squares so far.

    As Adam, with :math:`u \leftarrow \max(u, v)`, :math:`\hat u = u / (1-\alpha^t)` and
    :math:`w \leftarrow w - \eta \hat m / (\sqrt{\hat u} + \varepsilon)`.

    Args:
        params: parameters or groups, as in :class:`~optim_code.optim.Optim`.
        lr: the learning rate :math:`\eta \ge 0`.
        alpha: the decay of the squared gradient :math:`\alpha`, :math:`0 \le \alpha < 1`.
        momentum: the momentum :math:`\beta`, :math:`0 \le \beta < 1`.
        eps: the constant :math:`\varepsilon \ge 0` that keeps the division finite; outside the root.

    Raises:
        ValueError: for a hyper-parameter outside its range.

    Source: equation ``update-amsgrad``; :class:`torch.optim.Adam` with ``amsgrad=True``. The paper has no bias
    correction.
    """

    def __init__(self, params, lr, alpha, momentum, eps=1e-8):
        defaults = dict(lr=lr, alpha=alpha, momentum=momentum, eps=eps)
        super().__init__(params, defaults)

    def my_step(self, p, state, group):
        alpha, beta, g = group["alpha"], group["momentum"], p.grad
        if not state:
            state["t"] = 0
            for name in ("m", "v", "u"):
                state[name] = torch.zeros_like(p)
        state["t"] += 1
        state["m"].lerp_(g, 1 - beta)
        state["v"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        torch.maximum(state["u"], state["v"], out=state["u"])
        m_hat = state["m"] / (1 - beta ** state["t"])
        u_hat = state["u"] / (1 - alpha ** state["t"])
        root = u_hat.sqrt_().add_(group["eps"])
        p.addcdiv_(m_hat, root, value=-group["lr"])
