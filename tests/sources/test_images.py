"""Where pictures are looked up: COCO's layouts, other people's prefixes, letter case and suffixes."""

import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.sources.images import ImageStore
from infinity_mm.sources.pictures import named_picture

OLD, NEW = "COCO_train2014_000000000009.jpg", "000000000009.jpg"


def store(tmp_path, *names, roots=("", "images")):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return ImageStore(Location.of(tmp_path), roots)


def found(images, reference):
    """Return the name that the content was written under, or the reason why there is none."""
    result = images.find(reference)
    return result.reason if isinstance(result, Quarantine) else result[1].decode()


@pytest.mark.parametrize("there", [OLD, f"train2014/{OLD}", f"images/train2014/{OLD}", f"train2017/{NEW}", NEW])
@pytest.mark.parametrize("asked", [OLD, f"train2014/{OLD}", f"train2017/{NEW}", f"coco/train2017/{NEW}"])
def test_a_picture_of_coco_is_found_in_every_download(tmp_path, there, asked):
    assert found(store(tmp_path, there), named_picture(asked)) == there


def test_only_names_that_say_coco_and_the_year_are_taken_for_such(tmp_path):
    images = store(tmp_path, f"train2017/{NEW}")
    assert found(images, named_picture(NEW)) == "missing_image"
    assert found(images, named_picture(f"finetune/{NEW}")) == "missing_image"
    assert found(images, named_picture("COCO_test2015_000000000009.jpg")) == "missing_image"
    assert found(images, named_picture("train2017/000000000010.jpg")) == "missing_image"


@pytest.mark.parametrize("prefix", ["/mnt/data/", "/", "//", "D:\\data\\", "C:/"])
def test_absolute_paths_are_found_by_their_ends(tmp_path, prefix):
    images = store(tmp_path, "gqa/images/1.jpg", "images/1.jpg")
    assert found(images, ImageRef(path=f"{prefix}gqa/images/1.jpg")) == "gqa/images/1.jpg"
    assert found(images, ImageRef(path=f"{prefix}gqa/images/2.jpg")) == "unsafe_path"


def test_a_bare_name_is_not_enough_of_an_absolute_path(tmp_path):
    images = store(tmp_path, "passwd", "etc.jpg")
    assert found(images, ImageRef(path="/etc/passwd")) == "unsafe_path"
    assert found(images, ImageRef(path="/etc.jpg")) == "unsafe_path"
    assert found(images, ImageRef(path="/x/../etc.jpg")) == "unsafe_path"
    assert found(images, ImageRef(path="%2e%2e/etc.jpg")) == "unsafe_path"


def test_folders_and_files_in_other_letter_case(tmp_path):
    images = store(tmp_path, "web-Celebrity/Images/A.JPG", "b/x.jpg", "B/y.jpg", "b/p.jpg", "b/P.jpg")
    assert found(images, ImageRef(path="web-celebrity/images/a.jpg")) == "web-Celebrity/Images/A.JPG"
    assert found(images, ImageRef(path="B/Y.JPG")) == "B/y.jpg"
    assert found(images, ImageRef(path="b/p.JPG")) == "ambiguous_image"
    assert found(images, ImageRef(path="c/p.jpg")) == "missing_image"


def test_the_same_name_with_another_picture_suffix(tmp_path):
    images = store(tmp_path, "ocr_vqa/images/1.gif", "2.png", "2.webp", "3.txt")
    assert found(images, ImageRef(path="ocr_vqa/images/1.jpg")) == "ocr_vqa/images/1.gif"
    assert found(images, ImageRef(path="2.png")) == "2.png"
    assert found(images, ImageRef(path="2.jpg")) == "ambiguous_image"
    assert found(images, ImageRef(path="3.jpg")) == "missing_image"
