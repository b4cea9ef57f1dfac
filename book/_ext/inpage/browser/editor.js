/* The editor of Python: CodeMirror, in the colours that code has on the page. */
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

// The names that Pygments gives the same parts of code, so that the page's own style colours them.
const CLASSES = [
  [tags.keyword, "k"], [tags.controlKeyword, "k"], [tags.definitionKeyword, "k"], [tags.moduleKeyword, "kn"],
  [tags.operatorKeyword, "ow"], [tags.operator, "o"], [tags.comment, "c1"], [tags.string, "s2"], [tags.number, "mi"],
  [tags.bool, "kc"], [tags.null, "kc"], [tags.function(tags.definition(tags.variableName)), "nf"],
  [tags.definition(tags.className), "nc"], [tags.className, "nc"], [tags.self, "bp"],
];

/* An editor in an element: its text, what to do at each change, and at Ctrl+Enter. */
export function editor(parent, text, label, describedBy, onChange, onRun) {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        keymap.of([{ key: "Mod-Enter", run: () => (onRun(), true) }]),
        lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), python(), indentUnit.of("    "),
        syntaxHighlighting(HighlightStyle.define(CLASSES.map(([tag, name]) => ({ tag, class: name })))),
        // Tab indents; after Escape it goes on to the next control, as CodeMirror itself provides.
        keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({ "aria-label": label, "aria-describedby": describedBy, spellcheck: "false" }),
        EditorView.updateListener.of((update) => update.docChanged && onChange(view.state.doc.toString())),
      ],
    }),
  });
  return {
    get text() { return view.state.doc.toString(); },
    set text(now) { view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: now } }); },
    focus: () => view.focus(),
    select: (from, to) => view.dispatch({ selection: { anchor: from, head: to } }),
    destroy: () => view.destroy(),
  };
}
