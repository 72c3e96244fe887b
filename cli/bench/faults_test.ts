/**
 * Every fault of a device, at every call, while its speed is measured. On a model of a
 * device, with timestamps and without.
 */
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { tryEveryFault } from "../../kernels/testing/every_fault.ts";
import { modelDevice } from "../../kernels/testing/model_device.ts";
import { measuringJobs } from "./testing_jobs.ts";

const device = modelDevice({ features: ["timestamp-query"] });

for (const [name, job] of measuringJobs(SPECIFICATION_DEFAULTS)) {
  Deno.test(`whatever fails, and whenever, is said and leaves nothing: ${name}`, async () => {
    await tryEveryFault(device, job);
  });
}
