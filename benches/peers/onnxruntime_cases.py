"""The cases of `cargo xtask bench --peers` in onnxruntime on the CPU: the same work as `benches/src/embedding.rs`.

    pip install torch numpy transformers onnx onnxruntime
    python onnxruntime_cases.py embed|embed-one [--dtype f32|int8] [--threads N] [--repeat N]

PyTorch exports the model, and onnxruntime's own optimizer for BERT fuses attention, norms and GELU. int8 is its dynamic
quantisation, with a scale for each channel of a weight. Prints a line of JSON.
"""

import argparse
import logging
import multiprocessing
import tempfile
import warnings
from pathlib import Path

import measuring


def write(folder, case, dtype):
    """Writes the model, and the batches that it is given."""
    import numpy
    import torch
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from texts import SIZES, Embedder, batches, lengths

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    model = str(folder / "model.onnx")
    axes = {0: "texts", 1: "places"}
    example = torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    torch.onnx.export(
        Embedder("eager").eval(),  # The optimizer knows attention whose steps are written out.
        example,
        model,
        input_names=["ids", "mask"],
        output_names=["vectors"],
        dynamic_axes={"ids": axes, "mask": axes, "vectors": {0: "texts"}},
        opset_version=17,
        dynamo=False,
    )
    n_layers, n_heads = SIZES["num_hidden_layers"], SIZES["num_attention_heads"]
    fused = optimizer.optimize_model(
        model, model_type="bert", opt_level=0, num_heads=n_heads, hidden_size=SIZES["hidden_size"]
    )
    found = fused.get_fused_operator_statistics()["Attention"]
    assert found == n_layers, f"attention of {found} layers was fused, expected {n_layers}"
    fused.save_model_to_file(model)
    if dtype == "int8":
        float_unless_known = {"DefaultTensorType": TensorProto.FLOAT}
        quantize_dynamic(
            model, model, per_channel=True, weight_type=QuantType.QInt8, extra_options=float_unless_known
        )
    for number, (ids, mask) in enumerate(batches(lengths(case))):
        numpy.savez(folder / f"{number}.npz", ids=ids.numpy(), mask=mask.numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments = measuring.arguments(parser, ["embed", "embed-one"], ["f32", "int8"])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        # In a process of its own, whose memory does not count.
        writing = (folder, arguments.case, arguments.dtype)
        writer = multiprocessing.get_context("spawn").Process(target=write, args=writing)
        writer.start()
        writer.join()
        if writer.exitcode != 0:
            raise SystemExit("the model was not exported")
        run(folder, arguments)


def run(folder, arguments):
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    batches = [dict(numpy.load(path)) for path in sorted(folder.glob("*.npz"), key=lambda path: int(path.stem))]

    def embed():
        for batch in batches:
            session.run(None, batch)

    n_tokens = int(sum(batch["mask"].sum() for batch in batches))
    measuring.measure(onnxruntime, arguments.case, n_tokens, embed, arguments)


if __name__ == "__main__":
    main()
