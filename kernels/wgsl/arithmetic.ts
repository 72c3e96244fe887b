/**
 * WGSL expressions as an arithmetic, so that an objective's formulas become shader text: as
 * people would write it, and to the same bits. Zeros, ones and signs are folded, which is exact;
 * products and sums keep their order.
 *
 * @module
 */
import type { Arithmetic } from "../../planner/objective.ts";
import { literal } from "./text.ts";

/** Expressions of f32: names, calls, sums and products, and what a `-` may stand before. */
export const WGSL: Arithmetic<string> = {
  literal: (value) => value < 0 ? `-${literal(-value)}` : literal(value),
  add(a, b) {
    if (isZero(a)) return b;
    if (isZero(b)) return a;
    return isNegative(b) ? `${a} - ${term(negated(b))}` : `${a} + ${term(b)}`;
  },
  sub(a, b) {
    if (isZero(b)) return a;
    if (isZero(a)) return negated(b);
    return isNegative(b) ? `${a} + ${term(negated(b))}` : `${a} - ${term(b)}`;
  },
  mul(a, b) {
    if (isZero(a) || isZero(b)) return literal(0);
    if (isNegative(a)) return negated(WGSL.mul(negated(a), b));
    if (isNegative(b)) return negated(WGSL.mul(a, negated(b)));
    return a === "1f" ? b : b === "1f" ? a : `${term(a)} * ${factor(b)}`;
  },
};

function isZero(expression: string): boolean {
  return expression === "0f";
}

/** Returns whether an expression is a product with a `-` before it. */
function isNegative(expression: string): boolean {
  return expression.startsWith("-") && !operators(expression).some(isOfSums);
}

function negated(expression: string): string {
  return isNegative(expression) ? expression.slice(1) : `-${term(expression)}`;
}

/** Returns an expression as one of a sum that is not its first, or as the first of a product. */
function term(expression: string): string {
  return operators(expression).some(isOfSums) ? `(${expression})` : expression;
}

/** Returns an expression as one of a product that is not its first. */
function factor(expression: string): string {
  return operators(expression).length > 0 ? `(${expression})` : expression;
}

function isOfSums(operator: string): boolean {
  return operator === "+" || operator === "-";
}

/** Returns the operators between an expression's terms and factors, outside parentheses. */
function operators(expression: string): string[] {
  let outside = expression;
  for (let inner = ""; inner !== outside;) {
    inner = outside;
    outside = outside.replace(/\([^()]*\)|\[[^[\]]*\]|<[^<>]*>/g, "");
  }
  return outside.match(/(?<= )[-+*/](?= )/g) ?? [];
}
