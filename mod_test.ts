import assert from "node:assert/strict";

/** What `deno doc --json` says of an export. */
interface Symbol {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly jsDoc?: { readonly tags?: readonly { readonly kind: string }[] };
  }[];
}

/** Kinds of exports that a program can use at run time. */
const VALUES = ["function", "class", "variable"];

Deno.test("every value that mod.ts exports has an example, which the tests of documentation run", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "--quiet", "mod.ts"],
    cwd: import.meta.dirname!,
  }).output();
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  const symbols = Object.values<{ symbols: readonly Symbol[] }>(nodes).flatMap((of) => of.symbols);
  const values = symbols.flatMap(({ name, declarations }) =>
    declarations.filter(({ kind }) => VALUES.includes(kind)).map(({ jsDoc }) => ({ name, jsDoc }))
  );
  assert(values.length > 20, "the exports are found");
  const without = values.filter(({ jsDoc }) =>
    !jsDoc?.tags?.some(({ kind }) => kind === "example")
  );
  assert.deepEqual(without.map(({ name }) => name), []);
});

/** Returns the bundle, minified, of a program that consists of a few lines. */
async function bundled(program: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const [entry, output] = [`${folder}/program.ts`, `${folder}/program.js`];
    await Deno.writeTextFile(entry, program);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--platform", "browser", "--minify", "--output", output, entry],
      cwd: import.meta.dirname!,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return await Deno.readTextFile(output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a bundle has zod where a problem is checked, and below 139 KB of code where a plan is run", async () => {
  const mod = JSON.stringify(import.meta.resolve("./mod.ts"));
  const whole = await bundled(`export * from ${mod};`);
  assert.match(whole, /ZodMini/);
  assert(whole.length < 268_000, `${whole.length} bytes`);
  const running = await bundled(
    `import { LinearCrossEntropy } from ${mod}; console.log(LinearCrossEntropy);`,
  );
  assert.doesNotMatch(running, /Zod/);
  assert.match(running, /@compute/);
  assert(running.length < 139_000, `${running.length} bytes`);
});
