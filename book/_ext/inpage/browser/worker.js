/* Python in a worker: Pyodide, started from memory, with the book's own code.

   Before this text stand Pyodide's own two scripts, in one worker made of a text, because a page from disk may load no
   other. A message { start } brings the files; each message { run } is answered by what the code printed, raised, drew
   and was told. */
"use strict";
(() => {
  const MEMORY = 512 * 2 ** 20; // of all that Python holds, in bytes: past it, a run ends with a MemoryError
  const grow = WebAssembly.Memory.prototype.grow;
  WebAssembly.Memory.prototype.grow = function (pages) {
    if (this.buffer.byteLength + 65536 * pages > MEMORY) throw new RangeError("no more memory");
    return grow.call(this, pages);
  };

  function bytesOf(base64) {
    const text = atob(base64), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  let reader = null;

  async function start({ wasm, library, files, page }) {
    const unpacked = new Blob([bytesOf(wasm)]).stream().pipeThrough(new DecompressionStream("gzip"));
    const found = {
      "pyodide.asm.wasm": () => new Response(unpacked, { headers: { "Content-Type": "application/wasm" } }),
      "python_stdlib.zip": () => new Response(bytesOf(library)),
    };
    self.fetch = async (address) => found[String(address).split("/").pop()]();
    const quiet = () => {};
    const python = await self.loadPyodide({
      indexURL: "memory:/",
      // Without a list of packages there is nothing that it could ask another host for.
      lockFileContents: { info: { abi_version: "2025_0", arch: "wasm32", platform: "emscripten", python: "", version: "" }, packages: {} },
      stdout: quiet,
      stderr: quiet,
    });
    for (const [name, text] of Object.entries(files)) {
      python.FS.mkdirTree(`/book/${name}`.replace(/\/[^/]*$/, ""));
      python.FS.writeFile(`/book/${name}`, text);
    }
    python.runPython("import sys; sys.path.insert(0, '/book')");
    // A reader's code has no business with the worker: what it says here is what the page believes.
    for (const module of ["js", "pyodide_js"]) python.unregisterJsModule(module);
    reader = python.pyimport("reader");
    reader.start(python.pyimport("json").loads(JSON.stringify(page)));
  }

  self.addEventListener("message", async ({ data }) => {
    try {
      if (data.start) {
        await start(data.start);
        self.postMessage({ ready: true });
      } else {
        const result = reader.run(data.run);
        self.postMessage({ result: result.toJs({ dict_converter: Object.fromEntries }) });
        result.destroy();
      }
    } catch (error) {
      self.postMessage({ broken: String(error).trim().split("\n").pop() });
    }
  });
})();
