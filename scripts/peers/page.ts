/**
 * The text of docs/peers.md: every method with its source and formulas, and every
 * figure with how far off the model is.
 *
 * @module
 */
import type { Dtype } from "../../planner/dtype.ts";
import { DIVERGENCES } from "../../planner/heads/distill.ts";
import { type Head, headOf, type Problem } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { allowance, expectedMebibytes } from "./agreement.ts";
import { type Beside, type Figure, FIGURES } from "./figures.ts";
import { unsuited } from "../../planner/peers/limits.ts";
import { DISTILLING_PEERS, FORMER_PEERS, PEERS } from "../../planner/peers/mod.ts";
import { extraBytes, peakFormula, type Peer, type Span } from "../../planner/peers/peer.ts";

/** Shape of the formulas: the head of Gemma 2 2B. */
const SHAPE = { tokens: 8192, hidden: 2304, vocab: 256000 };

/** Problems of distillation: heads of Qwen 2.5's 7B and 72B, by each divergence. */
const ALL_TAUGHT = DIVERGENCES.map((divergence) =>
  parseProblem({
    tokens: 8192,
    heads: [
      { name: "student", hidden: 3584, vocab: 152064 },
      { name: "teacher", hidden: 8192, vocab: 152064 },
    ],
    distill: { divergence },
  })
);
const TAUGHT = ALL_TAUGHT[0]!;
const [student, teacher] = TAUGHT.heads as [Head, Head];

/** Returns a Markdown table whose columns are as wide as their cells, as `deno fmt` wants it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => row[column]!.length))
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** Returns a paragraph in lines of at most 100 characters, as `deno fmt` wants it. */
function paragraph(text: string): string {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1)!;
    if (line.length + 1 + word.length > 100) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

/**
 * Returns the shape in the first storage type that a method works in, of those that are measured.
 */
function shapeFor(peer: Peer): Problem {
  const dtype = (["bf16", "f32"] as const satisfies readonly Dtype[])
    .find((dtype) => !unsuited(peer.limits, parseProblem({ ...SHAPE, dtype })));
  return parseProblem({ ...SHAPE, dtype: dtype ?? "bf16" });
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

/** Returns two digits, and no sign of what rounds to zero. */
function signed(value: number): string {
  return value.toFixed(2).replace(/^-(0\.00)$/, "$1");
}

function formulaRow(peer: Peer): string[] {
  const problem = shapeFor(peer);
  const [method, ...cells] = formulaCells(peer, problem);
  return [method!, headOf(problem).dtype, ...cells];
}

function formulaCells(peer: Peer, problem: Problem): string[] {
  const cells = (["forward", "train"] as const).flatMap((span: Span) => [
    peakFormula(peer, problem, span),
    mebibytes(extraBytes(peer, problem, span)),
  ]);
  return [`\`${peer.method}\``, ...cells];
}

function sourceRow({ method, title, source, note }: Peer): string[] {
  return [`\`${method}\``, title, source, note ?? ""];
}

function figureRow(figure: Figure): string[] {
  const { method, tokens, hidden, vocab, dtype, softcap, span, unexplained } = figure;
  const expected = expectedMebibytes(figure);
  const off = figure.mebibytes - expected;
  const share = figure.mebibytes === 0 ? "" : ` (${signed(100 * off / figure.mebibytes)} %)`;
  return [
    `\`${method}\``,
    `${tokens} x ${hidden} x ${vocab}`,
    softcap === undefined ? dtype : `${dtype}, softcap`,
    span,
    figure.mebibytes.toFixed(1),
    expected.toFixed(1),
    `${signed(off)}${share}`,
    unexplained ? `not explained: ${unexplained}` : allowance(figure).why,
  ];
}

function figureTable(figures: readonly Figure[]): string {
  return table(
    ["method", "tokens x hidden x vocab", "storage", "part", "figure", "model", "off", "why"],
    figures.map(figureRow),
  );
}

/** Returns the published figures, under each of their sources. */
function publishedTables(): string {
  const sources = Map.groupBy(
    FIGURES.filter(({ kind }) => kind === "published"),
    ({ source }) => source,
  );
  return [...sources].map(([source, figures]) => {
    const [figure] = figures;
    const counted = figure!.beside ? `\n\n${besideText(figure!.beside)}` : "";
    return `### ${source}${counted}\n\n${figureTable(figures)}`;
  }).join("\n\n");
}

function besideText({ weights, hiddens, workspaceMebibytes }: Beside): string {
  return paragraph(
    `It counts all of the device's memory: besides the method's own ${weights} arrays like the weight,
    ${hiddens} like the hidden states, the targets, and ${workspaceMebibytes} MiB of cuBLAS workspaces.
    Their numbers were inferred from the figures, and are the same in every row.`,
  );
}

/** Returns the page. */
export function peersPage(): string {
  const measured = FIGURES.filter(({ kind }) => kind === "measured");
  const unmeasured = PEERS.filter(({ method }) =>
    !FIGURES.some((figure) => figure.method === method)
  );
  return `<!-- Written by \`deno task docs:peers\`. -->

# Memory of published methods

${
    paragraph(
      `What published methods of the output layer allocate beyond their inputs, as modelled in
\`planner/peers/\`. Each model is the order of allocations in the method's source code, as a list of
phases; peak memory is the largest phase. Returned gradients count from the moment they are
allocated, the parameters' \`.grad\` of an earlier step does not. No token is ignored, there is one
device, and parameters require a gradient.`,
    )
  }

## Formulas

${
    paragraph(
      `Bytes at the peak and what that is in MiB, at the head of Gemma 2 2B: ${SHAPE.tokens} tokens (N), a
hidden size of ${SHAPE.hidden} (D), a vocabulary of ${SHAPE.vocab} (V). C is the rows of a chunk as the
method chooses them, L a number of locks. Which phase is the peak depends on the shape, so the
formulas are those of this one. An element has 4 bytes in f32, 2 in bf16.`,
    )
  }

${table(["method", "storage", "forward", "MiB", "training", "MiB"], PEERS.map(formulaRow))}

## Sources

${table(["method", "title", "source", "note"], PEERS.map(sourceRow))}

Former versions, of which figures were published:

${table(["method", "title", "source", "note"], FORMER_PEERS.map(sourceRow))}

## Distillation from a teacher's head

${
    paragraph(
      `In f32, of ${TAUGHT.tokens} tokens: a student of ${student.hidden} dimensions and a teacher of ${teacher.hidden}, over ${student.vocab} ids. E stands for the teacher's dimensions. No figure of these is published that the models could be held against.`,
    )
  }

${
    table(
      ["divergence", "method", "forward", "MiB", "training", "MiB"],
      ALL_TAUGHT.flatMap((problem) =>
        DISTILLING_PEERS.filter(({ limits }) => unsuited(limits, problem) === undefined)
          .map((peer) => [problem.distill!.divergence, ...formulaCells(peer, problem)])
      ),
    )
  }

${table(["method", "title", "source", "note"], DISTILLING_PEERS.map(sourceRow))}

## Measured here

${
    paragraph(
      `In MiB, on one H100 80GB HBM3 with PyTorch 2.11 and Triton 3.6: the rise of the allocator's
peak over the inputs. Unsplit blocks are PyTorch's allocator, which takes blocks of 10 MiB and more
in multiples of 2 MiB and splits off no remainder of up to 1 MiB.`,
    )
  }

${figureTable(measured)}

## Published

In MiB.

${publishedTables()}

## No figure

${
    paragraph(
      `No published or measured figure of these is held here, so only their source or documentation
stands behind the models:`,
    )
  }

${unmeasured.map(({ method }) => `- \`${method}\``).join("\n")}
`;
}
