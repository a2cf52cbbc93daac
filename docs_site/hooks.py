"""What mkdocs calls while it builds the site: its pages, their links, and the check of the finished HTML."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_site import files as sources
from docs_site import reference
from docs_site.outside import resources_from_elsewhere


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the repository's Markdown under its own paths, and the reference beside it."""
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for path in sources.pages():
        files.append(File.generated(config, path, abs_src_path=str(sources.ROOT / path)))
    files.append(File.generated(config, "assets/extra.css", abs_src_path=str(sources.ROOT / "docs_site" / "extra.css")))
    for path, content in reference.pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Links to files that are no pages become their paths."""
    return sources.without_links_to_sources(page.file.src_uri, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Fail if a page loads anything from elsewhere."""
    found = resources_from_elsewhere(config.site_dir)
    if found:
        raise PluginError("the site loads what is not its own:\n" + "\n".join(found))
