// Differentiable elementwise ops: the names and meanings of core/ops/elementwise.h, on Variables.
#pragma once

#include "autograd/tape.h"
#include "core/ops/elementwise.h"

namespace dehvf {

Variable activate(const Variable& x, Activation activation);
Variable add(const Variable& a, const Variable& b);
Variable multiply(const Variable& a, const Variable& b);
Variable scale(const Variable& x, double factor);
Variable cast(const Variable& x, DType dtype);  // a parameter's gradient stays in its grad_dtype
Variable swiglu(const Variable& gate, const Variable& up);
Variable add_row(const Variable& x, const Variable& row);
Variable multiply_row(const Variable& x, const Variable& row);
Variable multiply_column(const Variable& x, const Variable& column);
Variable reshape(const Variable& x, const Shape& shape);

}  // namespace dehvf
