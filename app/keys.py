import gradio as gr


def keys_switch(demo: gr.Blocks) -> None: ...
