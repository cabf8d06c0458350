"""Prodigy whose step asks a GPU once: that of prodigyopt 1.1.2 asks twice for each parameter, and waits each time.

The estimate of the step size is a quotient of two sums over all parameters (Mishchenko and Defazio, arXiv 2306.06101).
Only the sums are needed as numbers, so they are added up where they are and fetched together.
"""

import math
from typing import Any


def prodigy_on_gpu() -> Any:
    """Return a class that is made and checkpointed as ``prodigyopt.Prodigy``, and takes the same steps within rounding.

    It knows what ``build_optimizer`` asks for: decoupled weight decay, one learning rate above 0 for all groups.
    """
    import torch
    from prodigyopt import Prodigy

    class ProdigyOnGpu(Prodigy):  # type: ignore[misc]  # prodigyopt is untyped
        @torch.no_grad()  # type: ignore[untyped-decorator]
        def step(self, closure: Any = None) -> Any:
            parameters = [each for group in self.param_groups for each in group["params"] if each.grad is not None]
            group = self.param_groups[0]
            if closure is not None or not group["betas"][0] or not all(self.state.get(each) for each in parameters):
                # The first step makes the state, and without a first moment there is another one.
                return super().step(closure)
            (beta1, beta2), d, d0, k = group["betas"], group["d"], group["d0"], group["k"]
            beta3 = math.sqrt(beta2) if group["beta3"] is None else group["beta3"]
            correction = math.sqrt(1.0 - beta2 ** (k + 1)) / (1.0 - beta1 ** (k + 1))
            rate = d * group["lr"] * (correction if group["use_bias_correction"] else 1.0)
            states, gradients = [self.state[each] for each in parameters], [each.grad for each in parameters]
            flat = [gradient.flatten() for gradient in gradients]
            first, second, sums = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "s"))
            dots = [torch.dot(gradient, state["p0"] - each.flatten())
                    for gradient, state, each in zip(flat, states, parameters, strict=True)]
            torch._foreach_mul_(first, beta1)
            torch._foreach_add_(first, gradients, alpha=d * (1.0 - beta1))
            torch._foreach_mul_(second, beta2)
            torch._foreach_addcmul_(second, gradients, gradients, value=d * d * (1.0 - beta2))
            torch._foreach_mul_(sums, beta3)
            torch._foreach_add_(sums, flat, alpha=d / d0 * (d if group["safeguard_warmup"] else rate))
            totals = [torch.stack(each).double().sum() for each in (dots, torch._foreach_norm(sums, 1))]
            dot, denominator = (float(each) for each in torch.stack(totals).cpu())
            if denominator == 0.0:
                return None
            numerator = group["d_numerator"] * beta3 + d / d0 * rate * dot
            estimate = group["d_coef"] * numerator / denominator
            if d == d0:
                d = max(d, estimate)
            most = max(group["d_max"], estimate)
            d = min(most, d * group["growth_rate"])
            for each in self.param_groups:
                each.update(d_numerator=numerator, d_denom=denominator, d=d, d_max=most, d_hat=estimate, k=k + 1)
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1.0 - group["weight_decay"] * rate)
            for parameter, state in zip(parameters, states, strict=True):
                state["step"] += 1
                # One after another: the roots of all together would be as large as the LoRA.
                root = state["exp_avg_sq"].sqrt().add_(d * group["eps"])
                parameter.addcdiv_(state["exp_avg"], root, value=-rate)
            return None

    return ProdigyOnGpu
