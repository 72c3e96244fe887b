/**
 * What `lce plan` may be asked beside a plan, and what it is to show: settings of a
 * plan file as the problem's are.
 *
 * @module
 */
import * as z from "zod";
import { DIVERGENCES } from "../../planner/heads/distill.ts";
import { LARGEST_DIMENSIONS } from "../../planner/largest.ts";
import { MAX_RANKS } from "../../planner/parallel.ts";
import { SCALINGS } from "../../planner/scaling.ts";
import { MAX_DIMENSION } from "../../planner/problem.ts";
import { PEERS } from "../../planner/peers/mod.ts";
import { FORMATS } from "../report/formats.ts";

/** Names of published methods, and words for all of them and for none. */
const PEER_NAMES = [...PEERS.map(({ method }) => method), "all", "none"];

/** The settings, each of which may be left out. */
export const modesShape = {
  codes: z.int().max(MAX_DIMENSION).optional()
    .describe("a codebook head: so many codes stand for the vocabulary"),
  adapterRank: z.int().min(1).max(MAX_DIMENSION).optional()
    .describe("a low-rank adapter on the head, of so many columns: it alone is trained"),
  distill: z.enum(DIVERGENCES).optional()
    .describe("the head is a student's, and learns from a teacher's by this divergence"),
  teacherHidden: z.int().min(1).max(MAX_DIMENSION).optional()
    .describe("inner dimension of the teacher's head"),
  teacherLearns: z.boolean().optional()
    .describe("gradients of the teacher's head too: it is not frozen"),
  teacherList: z.int().min(1).max(MAX_DIMENSION).optional()
    .describe("the teacher has no head, but log-probabilities of so many ids of each token"),
  beta: z.number().min(0).max(1).optional()
    .describe(
      "what the teacher counts in the mixture of --distill jsd, whose ends are forward-kl and reverse-kl (default: 0.5)",
    ),
  temperature: z.number().min(1e-3).max(1e6).optional()
    .describe("divides the logits of student and teacher in the divergence (default: 1)"),
  distillWeight: z.number().nonnegative().optional()
    .describe("what the divergence counts in the loss (default: 1)"),
  ceWeight: z.number().nonnegative().optional()
    .describe("what the student's cross-entropy counts in the loss (default: 0)"),
  fusion: z.boolean().optional()
    .describe("the head is a large model's, guided by what an expert has over its base"),
  expertHidden: z.int().min(1).max(MAX_DIMENSION).optional()
    .describe("inner dimension of the expert's head"),
  baseHidden: z.int().min(1).max(MAX_DIMENSION).optional()
    .describe("inner dimension of the head of the expert's base (default: the expert's)"),
  compare: z.boolean().optional().describe("set published methods' memory beside the plan's"),
  explain: z.boolean().optional().describe("list every candidate, and why it lost"),
  largest: z.enum(LARGEST_DIMENSIONS).optional()
    .describe("the largest that fits the device and the budget"),
  sweep: z.union([z.string(), z.array(z.string())]).optional()
    .describe(
      "plan a range, by doubling; NAME=FROM..TO:COUNT and NAME=a,b,c too; repeat for a grid",
    ),
  format: z.enum(FORMATS).optional().describe("how a sweep is printed (default: table)"),
  peers: z.array(z.enum(PEER_NAMES))
    .refine((names) => names.length === 1 || !names.some((name) => /^(all|none)$/.test(name)), {
      message: "all and none stand alone",
    })
    .optional()
    .describe("published methods to set beside a sweep; all or none"),
  ranks: z.int().min(1).max(MAX_RANKS).optional()
    .describe("so many ranks, split as is fastest: into tensor-parallel ones, replicas, or both"),
  scaling: z.enum(SCALINGS).optional()
    .describe(
      "how time changes up to so many ranks: strong, as many tokens in all, or weak, as many for each rank",
    ),
  links: z.string().optional()
    .describe(
      "how fast ranks are joined: auto, as lce tune --mpi measured it on this host, or a file of such rates",
    ),
  svg: z.string().optional()
    .describe("draw a sweep's memory, method by method, or the times of --scaling"),
  timeline: z.string().optional().describe("draw the plan's buffers over its steps, as SVG"),
};

/** Settings of a teacher, which mean something beside `distill` alone. */
export const TEACHER_MODES = [
  "teacherHidden",
  "teacherLearns",
  "teacherList",
  "beta",
  "temperature",
  "distillWeight",
  "ceWeight",
] as const;

/** Settings of an expert and its base, which mean something beside `fusion` alone. */
export const EXPERT_MODES = ["expertHidden", "baseHidden"] as const;

/** What says that there are other heads beside the problem's, or a list in place of one. */
export const HEADS_MODES = ["distill", ...TEACHER_MODES, "fusion", ...EXPERT_MODES] as const;

/** The settings, checked. */
export type Modes = z.output<z.ZodObject<typeof modesShape>>;
