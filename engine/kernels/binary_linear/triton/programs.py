"""The Triton program of 1-bit matrices: bits become signs in registers, products are summed in fp32."""

# T tokens, I inputs, O outputs; a name that ends in _ptr is the address of a contiguous tensor

import triton
import triton.language as tl


@triton.jit
def forward(
    a_ptr, bits_ptr, shift_ptr, post_ptr, weight_ptr, y_ptr, tokens, inputs, outputs, row_bytes,
    TOKENS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """y_to = post_o * sum_i a_ti sign_oi + weight_o * shift_t; bit i mod 8 of byte i // 8 of a row is set for plus."""
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    output = tl.program_id(1).to(tl.int64) * OUTPUTS + tl.arange(0, OUTPUTS)
    total = tl.zeros((TOKENS, OUTPUTS), dtype=tl.float32)
    for begin in range(0, inputs, INPUTS):
        column = begin + tl.arange(0, INPUTS)
        a_at = token[:, None] * inputs + column[None, :]
        a = tl.load(a_ptr + a_at, mask=(token[:, None] < tokens) & (column[None, :] < inputs), other=0.0)
        byte_at = output[None, :] * row_bytes + column[:, None] // 8
        byte = tl.load(bits_ptr + byte_at, mask=(output[None, :] < outputs) & (column[:, None] < inputs), other=0)
        sign = (((byte.to(tl.int32) >> (column[:, None] % 8)) & 1) * 2 - 1).to(a_ptr.dtype.element_ty)
        total += tl.dot(a, sign, input_precision="ieee")
    shift = tl.load(shift_ptr + token, mask=token < tokens, other=0.0)
    post = tl.load(post_ptr + output, mask=output < outputs, other=0.0)
    weight = tl.load(weight_ptr + output, mask=output < outputs, other=0.0)
    y = total * post[None, :] + shift[:, None] * weight[None, :]
    y_at = token[:, None] * outputs + output[None, :]
    tl.store(y_ptr + y_at, y.to(y_ptr.dtype.element_ty), mask=(token[:, None] < tokens) & (output[None, :] < outputs))
