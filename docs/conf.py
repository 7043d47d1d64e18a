"""Settings of Sphinx, which makes the documentation's site from its Markdown: `make docs`."""

from spxdata import __version__

project = "spxdata"
author = "The spxdata developers"
copyright = "the spxdata developers"
version = release = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["schemas"]
#: Down to which heading a link may lead, by the name that GitHub gives it too.
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"spxdata {release}"
html_copy_source = False
html_show_sphinx = False
#: Nothing of the site comes from elsewhere: it works from a disk, without network.
html_theme_options = {"navigation_with_keys": True}
