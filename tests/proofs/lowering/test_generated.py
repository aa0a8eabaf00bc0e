"""The committed code: as the generator writes it, and right to a few units in the last place in every language."""

import ctypes
import importlib.util
import shutil
import subprocess
import sys
import types
from functools import cache

import numpy as np
import pytest
import torch

from oracle.generated import torch_forms
from proofs.generated import numpy_forms
from proofs.lowering.regenerate import CUDA_FILE, CUPY_FILE, generated, root
from proofs.symbols import L
from tests.proofs.lowering.exact import POINTS, arguments_of, formulas, worst_ulps

FORMULAS = formulas()
ULPS = 6
"""Generated code, and what the platform's exp, expm1 and log1p add to it."""


def rows_of(names, dtype=np.float64):
    rng = np.random.default_rng(3)
    columns = {
        "L": POINTS.astype(dtype),
        "lam": rng.choice([0.0, 0.25, 0.5, 0.9, 1.0], POINTS.size).astype(dtype),
        "rho": np.exp(rng.uniform(-1, 1, POINTS.size)).astype(dtype),
        "C": rng.uniform(0.5, 2, POINTS.size).astype(dtype),
    }
    return [columns[name] for name in names]


def test_the_files_are_what_the_generator_writes():
    for path, text in generated().items():
        assert (root() / path).read_bytes() == text.encode(), f"{path}: run python -m proofs.lowering.regenerate"


def test_every_form_is_there():
    helpers = {name for name in numpy_forms.__all__ if name.endswith(("_factor", "_rest"))}
    assert set(numpy_forms.__all__) == set(FORMULAS) | helpers
    assert set(torch_forms.__all__) == set(numpy_forms.__all__)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_numpy_is_accurate(name, dtype):
    names = arguments_of(FORMULAS[name], name)
    columns = rows_of(names, dtype)
    values = getattr(numpy_forms, name)(*columns)
    assert values.dtype == dtype
    assert worst_ulps(values, FORMULAS[name], names, zip(*columns, strict=True), dtype) <= ULPS


def test_the_naive_formulas_are_not():
    for name, naive in {
        "k3": lambda x: np.exp(-x) - 1 + x,
        "k3_as_loss": lambda x: 1 - np.exp(-x),
        "reverse_kl_term": lambda x: x * np.exp(x) - np.exp(x) + 1,
    }.items():
        with np.errstate(all="ignore"):
            values = naive(POINTS)
        assert worst_ulps(values, FORMULAS[name], ["L"], [(x,) for x in POINTS]) > 1000


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_small_weight_saves_what_would_overflow(dtype):
    """rho exp(-L) is finite where exp(-L) is not."""
    far, weight = (-720.0, 1e-300) if dtype == np.float64 else (-95.0, 1e-30)
    x, rho = np.array([far], dtype), np.array([weight], dtype)
    for name in ("k3_as_loss_detached", "k3_in_reward_detached", "k3_in_both_differentiated"):
        got = getattr(numpy_forms, name)(x, rho)
        assert np.isfinite(got).all()
        assert worst_ulps(got, FORMULAS[name], ["L", "rho"], [(x[0], rho[0])], dtype) <= 2 * ULPS
        with np.errstate(over="ignore"):
            assert not np.isfinite(rho * np.exp(-x)).all()


def test_the_ends_of_the_line():
    inf = np.array([np.inf, -np.inf])
    assert numpy_forms.k3(inf).tolist() == [np.inf, np.inf]
    assert numpy_forms.k3_as_loss(inf).tolist() == [1.0, -np.inf]
    assert numpy_forms.reverse_kl_term(inf).tolist() == [np.inf, 1.0]
    assert numpy_forms.jeffreys_term_over_ratio(inf).tolist() == [np.inf, np.inf]
    assert numpy_forms.jensen_shannon_term(-inf) == pytest.approx([np.log(2) / 2, np.inf], abs=1e-15)
    assert numpy_forms.jensen_shannon_coefficient(inf)[0] == pytest.approx(np.log(2) / 2, abs=1e-15)
    assert numpy_forms.jensen_shannon_coefficient(inf)[1] == -np.inf
    for name, expr in FORMULAS.items():
        ones = [1.0] * (len(arguments_of(expr, name)) - 1)
        assert np.isfinite(getattr(numpy_forms, name)(0.0, *ones)), name
        if expr.has(L):
            assert np.isnan(getattr(numpy_forms, name)(np.nan, *ones)), name
        if "rho" in arguments_of(expr, name):
            zero = [0.0 if a == "rho" else 1.0 for a in arguments_of(expr, name)[1:]]
            assert (getattr(numpy_forms, name)(np.array([-800.0, 800.0]), *zero) == 0).all(), name


def test_types_and_shapes():
    assert numpy_forms.k3(np.float16(0.5)).dtype == np.float32
    assert numpy_forms.k3([[1, 2], [3, 4]]).shape == (2, 2)
    assert numpy_forms.k3_as_loss_truncated(np.zeros((2, 1), np.float32), np.ones(3), 1.0).shape == (2, 3)
    assert numpy_forms.k1(np.zeros(0)).shape == (0,)


# PyTorch


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_torch_agrees(name, dtype):
    names = arguments_of(FORMULAS[name], name)
    columns = rows_of(names, np.float64 if dtype == torch.float64 else np.float32)
    agree(getattr(torch_forms, name)(*map(torch.from_numpy, columns)).numpy(), columns, name)


def agree(values, columns, name):
    """The same numbers as NumPy's, each within a few units in the last place."""
    expected = getattr(numpy_forms, name)(*columns)
    assert values.dtype == expected.dtype
    info = np.finfo(expected.dtype)
    same = np.isclose(values, expected, rtol=2 * ULPS * info.eps, atol=4 * info.tiny)
    with np.errstate(invalid="ignore", over="ignore"):
        scale = np.maximum(np.abs(columns[0]), scale_of(columns) if len(columns) > 1 else 0)
        same |= np.abs(values - expected) <= 2 * ULPS * info.eps * scale
    assert same.all(), columns[0][~same]


def scale_of(columns):
    """Where lam mixes two terms they may cancel: the size of what is mixed."""
    return np.maximum(1, np.exp(-columns[0].astype(np.float64))) * 8


@pytest.mark.parametrize(
    ("value", "coefficient"),
    [("k1", "k1_as_loss"), ("k2", "k2_as_loss"), ("k3", "k3_as_loss"), ("abs_k1", "abs_k1_as_loss")],
)
def test_torch_gradients_are_the_coefficients(value, coefficient):
    for dtype, tolerance in ((torch.float64, 5e-15), (torch.float32, 3e-6)):
        x = torch.tensor(POINTS[np.abs(POINTS) < 80], dtype=dtype, requires_grad=True)
        getattr(torch_forms, value)(x).sum().backward()
        torch.testing.assert_close(x.grad, getattr(torch_forms, coefficient)(x.detach()), rtol=tolerance, atol=0)


def test_torch_gradients_of_the_family_and_of_terms():
    x = torch.tensor(POINTS[np.abs(POINTS) < 80], requires_grad=True)
    lam = torch.full_like(x, 0.75)
    torch_forms.k_lambda(x, lam).sum().backward()
    torch.testing.assert_close(x.grad, torch_forms.k_lambda_as_loss(x.detach(), lam), rtol=1e-13, atol=1e-15)
    for name in ("reverse_kl", "forward_kl", "chi2_half", "jeffreys", "jensen_shannon", "hellinger_squared"):
        x.grad = None
        getattr(torch_forms, f"{name}_term")(x).sum().backward()  # d/dL of f(u) - f'(1)(u - 1) is u c(L)
        expected = x.detach().exp() * getattr(torch_forms, f"{name}_coefficient")(x.detach())
        torch.testing.assert_close(x.grad, expected, rtol=1e-12, atol=1e-15)


def test_no_gradient_is_lost_in_the_branch_not_taken():
    x = torch.tensor([-800.0, -0.1, 0.0, 0.1, 800.0], requires_grad=True)
    torch_forms.forward_kl_coefficient(x).sum().backward()
    assert not torch.isnan(x.grad).any()
    x.grad = None
    torch_forms.k3(x).sum().backward()
    assert not torch.isnan(x.grad).any()


# CuPy: the same array code with NumPy in its place


def test_cupy_agrees_with_numpy_in_its_place(monkeypatch):
    stand_in = types.ModuleType("cupy")
    stand_in.__dict__.update({k: v for k, v in vars(np).items() if not k.startswith("__")})
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    spec = importlib.util.spec_from_file_location("cupy_forms", root() / CUPY_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.__all__) == set(numpy_forms.__all__)
    for name in FORMULAS:
        columns = rows_of(arguments_of(FORMULAS[name], name))
        with np.errstate(all="ignore"):
            values = getattr(module, name)(*columns)
        assert np.array_equal(values, getattr(numpy_forms, name)(*columns), equal_nan=True), name


# CUDA C++, on the host and, where a compiler is there, for a device


@cache
def host_library(folder):
    source = folder / "forms.cpp"
    lines = [f'#include "{root() / CUDA_FILE}"']
    for name in FORMULAS:
        names = arguments_of(FORMULAS[name], name)
        for kind in ("float", "double"):
            arguments = ", ".join(f"const {kind}* {a}" for a in names)
            given = ", ".join(f"{a}[i]" for a in names)
            lines.append(
                f'extern "C" void {name}_{kind}(int n, {kind}* out, {arguments}) '
                f"{{ for (int i = 0; i < n; ++i) out[i] = kl_oracle::{name}({given}); }}"
            )
    source.write_text("\n".join(lines), "utf-8")
    library = folder / "forms.so"
    flags = ["-std=c++11", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_cuda_source_on_the_host_agrees(tmp_path_factory):
    library = host_library(tmp_path_factory.mktemp("cuda"))
    for name, expr in FORMULAS.items():
        for kind, dtype in (("double", np.float64), ("float", np.float32)):
            columns = [np.ascontiguousarray(c) for c in rows_of(arguments_of(expr, name), dtype)]
            out = np.empty_like(columns[0])
            pointers = [ctypes.c_void_p(c.ctypes.data) for c in (out, *columns)]
            getattr(library, f"{name}_{kind}")(ctypes.c_int(out.size), *pointers)
            agree(out, columns, name)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")
def test_cuda_source_compiles_for_a_device(tmp_path):
    source = tmp_path / "forms.cu"
    kernels = "".join(f"template __global__ void run<{t}>(const {t}*, {t}*);\n" for t in ("float", "double"))
    source.write_text(
        f'#include "{root() / CUDA_FILE}"\ntemplate <typename T> __global__ void run(const T* x, T* y) '
        "{ y[0] = kl_oracle::k3(x[0]) + kl_oracle::jensen_shannon_term(x[0]) "
        "+ kl_oracle::k3_in_both_truncated(x[0], x[1], x[2]); }\n" + kernels,
        "utf-8",
    )
    subprocess.run(["nvcc", "-std=c++14", "-ptx", str(source), "-o", str(tmp_path / "forms.ptx")], check=True)
