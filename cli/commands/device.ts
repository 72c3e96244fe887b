/**
 * `lce device`: what this machine's adapter offers.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { LIMIT_NAMES, SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { openDevice } from "../gpu.ts";
import type { Output } from "../output.ts";
import { table } from "../render/table.ts";

/** The command. */
export function deviceCommand(output: Output): Command {
  return new Command("device")
    .description("show this machine's WebGPU adapter and the limits that shape plans")
    .option("--json", "print a device profile as JSON alone, as plan files take it")
    .action(async ({ json }) => {
      const { device, profile, software } = await openDevice();
      device.destroy();
      if (json) return output.print(JSON.stringify(profile, null, 2));
      const rows = LIMIT_NAMES.map((name) => [
        name,
        `${profile.limits[name]}`,
        `${SPECIFICATION_DEFAULTS.limits[name]}`,
      ]);
      output.print(`${profile.name}${software ? " (software)" : ""}\n`);
      output.print(
        table([["limit", "here", "specification"], ...rows], ["left", "right", "right"]),
      );
    }) as unknown as Command;
}
