/**
 * Every fault of a device, at every call: in the executor, among ranks, and in the
 * public API. On a model of a device, for it takes no time there.
 */
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { tryEveryFault } from "./testing/every_fault.ts";
import { smallJobs } from "../testing/jobs.ts";
import { modelDevice } from "./testing/model_device.ts";

const device = modelDevice();

for (const [name, job] of smallJobs(device, SPECIFICATION_DEFAULTS)) {
  Deno.test(`whatever fails, and whenever, is said and leaves nothing: ${name}`, async () => {
    await tryEveryFault(device, job);
  });
}
