/**
 * Small jobs of every kind that a device is given: every strategy, forward and training,
 * resident and streamed, alone, among ranks and through the public API.
 *
 * @module
 */
import { bytesOf } from "../fixtures/elements.ts";
import { uploads } from "../fixtures/fixture.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { collectivesOf, planParallel, rankSchedule } from "../planner/parallel.ts";
import { makePlan, type PlanOptions } from "../planner/plan.ts";
import type { ProblemInput } from "../planner/problem.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { executeRanks } from "../kernels/ranks/execute_ranks.ts";
import type { DeviceProfile } from "../planner/device.ts";
import { execute } from "../kernels/run/execute.ts";
import { LinearCrossEntropy } from "../kernels/run/linear_cross_entropy.ts";
import type { Job } from "../kernels/testing/every_fault.ts";

/** Sizes that make three windows, of which the last is narrower. */
const SIZES = { tokens: 5, hidden: 8, vocab: 150 } as const satisfies ProblemInput;
const WINDOW = 64;

/** Ways to run a schedule alone: what is left out is resident. */
const SCHEDULES:
  readonly (Pick<PlanOptions, "strategy" | "weights"> & Pick<ProblemInput, "pass">)[] = [
    { strategy: "two-stage", pass: "forward" },
    { strategy: "two-stage", pass: "train" },
    { strategy: "fused", pass: "forward" },
    { strategy: "fused", pass: "forward", weights: "streamed" },
    { strategy: "windowed", pass: "train" },
    { strategy: "windowed", pass: "train", weights: "streamed" },
    { strategy: "chunked", pass: "train" },
  ];

/** Returns every job by name. Buffers that they take as a caller's stay until the device goes. */
export function smallJobs(device: GPUDevice, profile: DeviceProfile): Map<string, Job> {
  const jobs = new Map<string, Job>();
  for (const { strategy, weights = "resident", pass } of SCHEDULES) {
    const problem = parseProblem({ ...SIZES, pass });
    const inputs = uploads(makeSynthetic(problem, 3));
    const { schedule } = makePlan(problem, profile, {
      strategy,
      weights,
      hostIo: true,
      ...(strategy === "two-stage" || strategy === "chunked" ? {} : { window: WINDOW }),
    });
    jobs.set(
      `${strategy}, ${pass}, ${weights}`,
      async (device) => (await execute(schedule, device, { inputs })).outputs,
    );
  }
  jobs.set("two ranks, train", rankJob(profile));
  for (const strategy of ["windowed", "chunked"] as const) {
    jobs.set(`LinearCrossEntropy, ${strategy}, train`, callersJob(device, profile, strategy));
  }
  return jobs;
}

/** Returns a job split over two ranks. */
function rankJob(profile: DeviceProfile): Job {
  const problem = parseProblem({ ...SIZES, vocab: SIZES.vocab + 1, pass: "train" });
  const parallelism = { tensor: 1, data: 2, sequence: false };
  const plan = planParallel({ ...problem, tokens: 6 }, profile, parallelism, { hostIo: true });
  const ranks = plan.ranks.map((rank) => {
    const schedule = rankSchedule(plan, rank);
    const inputs = uploads(makeSynthetic(schedule.problem, 3));
    return { ...rank, schedule, inputs };
  });
  if (collectivesOf(ranks[0]!.schedule).length === 0) throw new Error("ranks exchange nothing");
  return async (device) => (await executeRanks(ranks, device)).map(({ outputs }) => outputs);
}

/** Returns two steps of training on a caller's buffers. */
function callersJob(
  real: GPUDevice,
  profile: DeviceProfile,
  strategy: "windowed" | "chunked",
): Job {
  const problem = parseProblem({ ...SIZES, pass: "train" });
  const planned = makePlan(problem, profile, {
    strategy,
    hostIo: false,
    weights: "resident",
    ...(strategy === "windowed" ? { window: WINDOW } : {}),
  });
  const { tensors } = makeSynthetic(problem, 3);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const buffer = (size: number, data?: Uint8Array) => {
    const made = real.createBuffer({ size, usage });
    if (data) real.queue.writeBuffer(made, 0, data as BufferSource);
    return made;
  };
  const filled = (data: Uint8Array) => buffer(data.length, data);
  const inputs = {
    hidden: filled(tensors.hidden),
    weight: filled(tensors.weight as Uint8Array),
    targets: filled(bytesOf(tensors.targets)),
  };
  const gradients = {
    hidden: buffer(tensors.hidden.length),
    weight: buffer(4 * SIZES.vocab * SIZES.hidden),
  };
  return async (device) => {
    const head = await LinearCrossEntropy.create(device, planned);
    try {
      head.lossAndGradients(inputs, gradients);
      const loss = await head.readLoss();
      head.lossAndGradients(inputs, gradients);
      const { lse, logprob } = await head.readResults();
      return { loss, lse, logprob };
    } finally {
      head.destroy();
    }
  };
}
