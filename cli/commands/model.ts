/**
 * `lce model`: the models that plans can name.
 *
 * @module
 */
import { Command } from "commander";
import { bytesPerElement } from "../../planner/dtype.ts";
import { findModel, type Model, MODELS } from "../../planner/models/catalogue.ts";
import { formatBytes } from "../../planner/units.ts";
import { UsageError } from "../exit.ts";
import { modelRow, unknownModel } from "../request/model.ts";
import type { Output } from "../output.ts";
import { table } from "../report/table.ts";

/** Returns the command. */
export function modelCommand(output: Output): Command {
  return new Command("model")
    .description("list the models that --model knows, or show one with its source")
    .argument("[name]")
    .option("--json", "print JSON alone")
    .addHelpText(
      "after",
      `
Examples:
  $ lce model
  $ lce model gemma-2-2b
  $ lce plan --model gemma-2-2b`,
    )
    .action((name: string | undefined, { json }: { readonly json?: boolean }) => {
      if (name === undefined) {
        return output.print(json ? JSON.stringify(MODELS, null, 2) : listText(output.width));
      }
      const model = findModel(name);
      if (!model) throw new UsageError(unknownModel(name));
      output.print(json ? JSON.stringify(model, null, 2) : modelText(model, output.width));
    });
}

function listText(width: number | undefined): string {
  const heads = ["model", "vocab", "hidden", "softcap", "logit scale", "head"];
  const align = ["left", "right", "right", "right", "right"] as const;
  return table([heads, ...MODELS.map(modelRow)], align, { width });
}

function modelText(model: Model, width: number | undefined): string {
  const { vocab, hidden, dtype, softcap, logitScale, bias, tied, tokenizer } = model;
  const known = (value: unknown) => value === undefined ? "unknown" : `${value}`;
  return table(
    [
      ["model", model.name],
      [
        "vocab",
        `${vocab} rows${tokenizer === undefined ? "" : `, ${tokenizer} ids in the tokenizer`}`,
      ],
      ["hidden", `${hidden}`],
      ["dtype", known(dtype)],
      ["softcap", `${softcap ?? "none"}`],
      ["logit scale", `${logitScale ?? 1}`],
      ["bias", known(bias)],
      ["tied head", known(tied)],
      [
        "weight",
        `${formatBytes(bytesPerElement(dtype ?? "bf16") * vocab * hidden)} in ${dtype ?? "bf16"}`,
      ],
      ["source", model.source],
      ["checked", model.checked],
    ],
    [],
    { width },
  );
}
