/**
 * The gradient of a window of the weight, rounded from f32 to 16 bits.
 *
 * @module
 */
import type { Dtype } from "../../planner/dtype.ts";
import { headOf, weightColumns } from "../../planner/problem.ts";
import { ROUNDING_COLUMNS } from "../../planner/schedule/backward.ts";
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";
import type { KernelContext } from "./context.ts";
import { block, kernel } from "./text.ts";

/** Functions from two numbers to a word of 16 bits each, and back. */
const PAIRS: Readonly<Record<Exclude<Dtype, "f32">, readonly string[]>> = {
  f16: [
    `// Two halves in a word; what is larger than any half becomes the largest.
fn pack(pair: vec2<f32>) -> u32 {
  return pack2x16float(clamp(pair, vec2<f32>(-65504f), vec2<f32>(65504f)));
}`,
    `fn unpack(word: u32) -> vec2<f32> {
  return unpack2x16float(word);
}`,
  ],
  bf16: [
    `// The upper halves of two f32 in a word, rounded to the nearest, to the even one between two.
fn pack(pair: vec2<f32>) -> u32 {
  let bits = bitcast<vec2<u32>>(pair);
  let upper = (bits + vec2<u32>(0x7fffu) + ((bits >> vec2<u32>(16u)) & vec2<u32>(1u))) >>
    vec2<u32>(16u);
  return upper.x | (upper.y << 16u);
}`,
    `fn unpack(word: u32) -> vec2<f32> {
  return bitcast<vec2<f32>>(vec2<u32>(word << 16u, word & 0xffff0000u));
}`,
  ],
};

/** `dW` of a window, from the sums of all token blocks: an invocation for each two elements. */
export function roundGradient({ dispatch, schedule }: KernelContext): string {
  const { problem, gradientDtype } = schedule;
  const columns = weightColumns(problem, headOf(problem));
  return kernel(dispatch, {
    title: "gradient of a window of the weight, rounded once from its sums in f32.",
    types: { grad_weight: "u32" },
    functions: PAIRS[gradientDtype as Exclude<Dtype, "f32">],
    workgroup: LINEAR_WORKGROUP,
    builtins: ["group", "lane"],
    body: [
      `let word = (group.y * ${ROUNDING_COLUMNS}u + group.x) * ${LINEAR_WORKGROUP}u + lane;`,
      `let elements = params.vocab * ${columns}u;`,
      block([`return;`], `if (2u * word >= elements)`),
      `// Behind the last element of all there is nothing.`,
      `let next = min(2u * word + 1u, elements - 1u);`,
      `let second = select(0f, window_gradient[next], 2u * word + 1u < elements);`,
      `var pair = vec2<f32>(window_gradient[2u * word], second);`,
      block([`pair += unpack(grad_weight[word]);`], `if (params.first == 0u)`),
      `grad_weight[word] = pack(pair);`,
    ],
  });
}
