/**
 * Errors in the rates that a device is calibrated to have, and in what is kept of them.
 *
 * @module
 */
import { CALIBRATED, CALIBRATION, KEPT, MADE_UP, TIMELY, TUNING } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in calibration. */
export const CALIBRATIONS: readonly Mutant[] = [
  {
    name: "a family of chips whose rates are known is calibrated all the same",
    file: "cli/bench/calibrated.ts",
    find: "if (profile.rates || !remarks) return profile;",
    replace: "if (!remarks) return profile;",
    why: "what was tuned would give way to what was measured in two seconds",
    killers: [CALIBRATED],
  },
  {
    name: "a device is calibrated whenever it is used",
    file: "cli/bench/calibrated.ts",
    find: "kept ?? await firstRates",
    replace: "await firstRates",
    why: "every command would take two seconds longer",
    killers: [{ test: "cli/bench/calibrated_device_test.ts" }],
  },
  {
    name: "a device that is lost while it is calibrated is used",
    file: "cli/bench/calibrated.ts",
    find: "await throwIfLost(device).catch((loss) => {",
    replace: "await Promise.resolve().catch((loss) => {",
    why: "a run on it would fail with another message, or end without results",
    killers: [CALIBRATED],
  },
  {
    name: "a product is tried with ever more workgroups, however long it takes",
    file: "kernels/measure/calibrate.ts",
    find: "await watch.seconds(recordOf(most), 1) < LONG",
    replace: "await watch.seconds(recordOf(most), 1) > 0",
    why: "a slow device would take minutes, and a watchdog end it",
    killers: [CALIBRATION],
  },
  {
    name: "reading slowly makes a product fast",
    file: "kernels/measure/calibrate.ts",
    find: "Math.max(1, 2 * taken / seconds)",
    replace: "Math.max(1, 0 * taken / seconds)",
    why: "on a machine that others use a device would seem to have no end of speed",
    killers: [CALIBRATION],
  },
  {
    name: "a part of a product moves all of its bytes",
    file: "kernels/measure/calibrate.ts",
    find: "dispatch.traffic * workgroups / (rows * columns)",
    replace: "dispatch.traffic",
    why: "a slow device's reading would seem faster, and its products slower, than they are",
    killers: [MADE_UP],
  },
  {
    name: "a device is taken to be as wide as the product that it was tried with",
    file: "kernels/measure/calibrate.ts",
    find: "if (half / taken < BUSY * most / seconds) break;",
    replace: "if (half / taken > BUSY * most / seconds) break;",
    why: "plans would wait for waves that no device has",
    killers: [MADE_UP],
  },
  {
    name: "a device that is half idle counts as busy",
    file: "kernels/measure/calibrate.ts",
    find: "const BUSY = 0.8;",
    replace: "const BUSY = 0.4;",
    why: "plans would fill half of it",
    killers: [MADE_UP],
  },
  {
    name: "what a product reads may take all of its time",
    file: "kernels/measure/calibrate.ts",
    find: "Math.max(1, 2 * taken / seconds)",
    replace: "Math.max(1, taken / seconds)",
    why: "on a machine that others use products would seem faster than they are",
    killers: [MADE_UP],
  },
  {
    name: "a rate is what was done over how long it took",
    file: "kernels/measure/calibrate.ts",
    find: "rateAt(estimate, seconds)",
    replace: "part.workgroupFlops * most / seconds",
    why: "waves and ends would be counted twice, and every estimate be too long",
    killers: [MADE_UP],
  },
  {
    name: "where matrices do not compile nothing is calibrated",
    file: "kernels/measure/calibrate.ts",
    find: "error instanceof CompileError || error instanceof DoesNotFitError",
    replace: "error instanceof DoesNotFitError",
    why: "a driver's defect would cost all rates, and plans their times",
    killers: [MADE_UP],
  },
  {
    name: "products are timed with zeros",
    file: "kernels/measure/calibrate.ts",
    find: "f32: [0x807fffff, 0x3f000000]",
    replace: "f32: [0x80000000, 0x00000000]",
    why: "a GPU that draws less power for zeros is faster with them than with anybody's weight",
    killers: [MADE_UP],
  },
  {
    name: "tuning leaves products of split operands out",
    file: "cli/bench/tune.ts",
    find: "others: inMatrices.flatMap(",
    replace: "others: inMatrices.slice(0, 1).flatMap(",
    why: "plans in f32 would have no times on chips with matrices",
    killers: [TUNING],
  },
  {
    name: "what another process keeps at the same time is lost",
    file: "cli/files/kept.ts",
    find: "      await file.lock(true);\n",
    replace: "",
    why: "what lce tune took minutes for would be measured again",
    killers: [KEPT],
  },
  {
    name: "windows are cut for time's sake to parts of a tile",
    file: "planner/strategies/limits.ts",
    find: "Math.max(tile.cols, vocabOf(problem)",
    replace: "Math.max(1, vocabOf(problem)",
    why: "a slow device would compute each tile many times over",
    killers: [TIMELY],
  },
];
