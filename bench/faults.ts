// deno-lint-ignore-file no-console -- a script prints
/**
 * Makes every fault of a device at every call at which it can strike, on a model of a
 * device, and writes how many those are to `bench/faults.md`.
 *
 *     deno task bench:faults
 *
 * @module
 */
import { measuringJobs } from "../cli/bench/testing_jobs.ts";
import { markdown } from "../cli/report/formats.ts";
import { type FaultCounts, tryEveryFault } from "../kernels/testing/every_fault.ts";
import { DEVICE_FAULTS } from "../kernels/testing/faulty_device.ts";
import { smallJobs } from "../testing/jobs.ts";
import { modelDevice } from "../kernels/testing/model_device.ts";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";

const device = modelDevice({ features: ["timestamp-query"] });
const counts = new Map<string, FaultCounts>();
for (
  const [name, job] of [
    ...smallJobs(device, SPECIFICATION_DEFAULTS),
    ...measuringJobs(SPECIFICATION_DEFAULTS),
  ]
) {
  counts.set(name, await tryEveryFault(device, job));
}
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
const names = DEVICE_FAULTS.map(({ name }) => name);
const rows = [...counts].map(([job, made]) => [
  job,
  ...names.map((name) => `${made[name]}`),
  `${sum(Object.values(made))}`,
]);
const total = sum(rows.map((row) => Number(row.at(-1))));
const totals = names.map((_, index) => `${sum(rows.map((row) => Number(row[index + 1])))}`);
const page = `# Faults of a device

${total} faults, one to a run: each way in which a device fails (\`kernels/testing/faulty_device.ts\`),
at each call at which it can, in each kind of job (\`testing/jobs.ts\`,
\`cli/bench/testing_jobs.ts\`). After each the run
throws what it was, every buffer is destroyed, every error scope is closed and no error is uncaught;
without one, results are what they were. By \`deno task bench:faults\`, Deno ${Deno.version.deno},
${new Date().toISOString().slice(0, 10)}, before a model of a device
(\`kernels/testing/model_device.ts\`), as \`kernels/faults_test.ts\` and
\`cli/bench/faults_test.ts\` do it;
\`kernels/faults_device_test.ts\` makes some of them before a real one, and \`docs/faults.md\` has what
the command line makes of them.

${markdown([["job", ...names, "all"], ...rows, ["all", ...totals, `${total}`]])}
`;
const root = decodeURIComponent(new URL("..", import.meta.url).pathname);
await Deno.writeTextFile(`${root}bench/faults.md`, page);
await new Deno.Command("deno", {
  args: ["fmt", "--quiet", `--config=${root}deno.json`, `${root}bench/faults.md`],
}).output();
console.log(`${total} faults`);
