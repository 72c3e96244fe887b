/**
 * Running what should notice an error in a copy of the tree, and telling an error
 * that was noticed from a program that did not even start.
 *
 * @module
 */
import type { TreeCopy } from "./copy.ts";
import { formatKiller, type Killer, type Mutant } from "./mutant.ts";

/** Seconds after which a killer counts as one that never ends, a sign of an error by itself. */
const PATIENCE = 240;

/** What one killer said. */
export interface Verdict {
  /** `passed`: it noticed nothing. `invalid`: nothing was run, or a kernel did not compile. */
  readonly outcome: "passed" | "failed" | "invalid";
  /** The first test that failed, or what else there is to say. */
  readonly what: string;
}

/** What became of a mutant. */
export interface Fate {
  readonly mutant: Mutant;
  /** `survived`: something that should have noticed it did not. */
  readonly outcome: "killed" | "survived" | "invalid";
  /** The tests that failed. */
  readonly noticed: readonly string[];
  /** What passed, or of an invalid one, what is wrong with it. */
  readonly problem: string;
  readonly seconds: number;
}

/** Plants a mutant in a copy and runs what should notice it. */
export async function hunt(mutant: Mutant, copy: TreeCopy): Promise<Fate> {
  const begun = performance.now();
  const noticed: string[] = [];
  let outcome: Fate["outcome"] = "killed";
  const problems: string[] = [];
  await copy.with(mutant, async () => {
    for (const killer of mutant.killers) {
      const verdict = await runKiller(killer, copy);
      if (verdict.outcome === "failed") noticed.push(verdict.what);
      else if (verdict.outcome === "passed") {
        if (outcome === "killed") outcome = "survived";
        problems.push(`not noticed by ${formatKiller(killer)}`);
      } else {
        outcome = "invalid";
        problems.push(verdict.what);
      }
    }
  });
  const seconds = (performance.now() - begun) / 1000;
  return { mutant, outcome, noticed, problem: problems.join("; "), seconds };
}

/** Runs a killer in a copy of the tree as it is; again where its process breaks down. */
export async function runKiller(killer: Killer, copy: TreeCopy): Promise<Verdict> {
  return await call(killer, copy) ?? await call(killer, copy) ??
    { outcome: "failed", what: `${formatKiller(killer)}: breaks down` };
}

/** What a killer says; nothing where its process ended by a signal before it could say anything. */
async function call(killer: Killer, copy: TreeCopy): Promise<Verdict | undefined> {
  const args = "lce" in killer
    ? ["run", "--quiet", "--no-check", "-A", "cli/main.ts", ...killer.lce]
    : [
      "test",
      "--quiet",
      "--no-check",
      "--fail-fast",
      "-A",
      ...(killer.filter === undefined ? [] : [`--filter=${killer.filter}`]),
      killer.test,
    ];
  // Nobody's tuned rates may decide what is run, nor this device's own.
  const untuned = await Deno.makeTempDir();
  const patience = AbortSignal.timeout(1000 * PATIENCE);
  try {
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args,
      cwd: copy.path,
      env: {
        NO_COLOR: "1",
        LCE_CACHE: untuned,
        LCE_CALIBRATE: "0",
        XDG_RUNTIME_DIR: Deno.env.get("XDG_RUNTIME_DIR") ?? "/tmp",
      },
      stdin: "null",
      signal: patience,
    }).output();
    if (patience.aborted) return { outcome: "failed", what: `no end in ${PATIENCE} s` };
    const decoder = new TextDecoder();
    return judge(killer, code, `${decoder.decode(stdout)}\n${decoder.decode(stderr)}`);
  } finally {
    await Deno.remove(untuned, { recursive: true });
  }
}

/** What a module or a kernel that does not compile is reported as. */
const BROKEN =
  /^.*(?:does not compile|Shader .*(?:parsing|validation) error|\(uncaught error\)).*$/m;

/** Exit codes from here on mean that a signal ended the process. */
const SIGNALS = 128;

/** Reads what a killer printed. */
function judge(killer: Killer, code: number, text: string): Verdict | undefined {
  // An edit that breaks the program's text says nothing about the tests.
  const broken = BROKEN.exec(text)?.[0];
  if (broken !== undefined) return { outcome: "invalid", what: broken.trim().slice(0, 200) };
  if ("lce" in killer) {
    if (code >= SIGNALS) return undefined;
    // 1 is what a verification that failed ends with; other codes mean that none took place.
    const what = `\`${formatKiller(killer)}\``;
    if (code > 1) return { outcome: "invalid", what: `${what} ends with ${code}` };
    return { outcome: code === 0 ? "passed" : "failed", what };
  }
  const failed = /^ FAILURES \s*\n\s*\n(.+?) => /m.exec(text)?.[1];
  if (failed !== undefined) return { outcome: "failed", what: failed };
  // Software drivers have broken down while the process ended, after its last test.
  const passed = Number(/^ok \| (\d+) passed/m.exec(text)?.[1] ?? 0);
  if (passed > 0) return { outcome: "passed", what: "" };
  if (code >= SIGNALS) return undefined;
  return { outcome: "invalid", what: `${formatKiller(killer)} runs no test` };
}
