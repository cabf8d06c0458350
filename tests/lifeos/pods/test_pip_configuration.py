from lifeos.pods.pip_configuration import read_pip_settings, uv_environment

LISTED = """\
:env:.extra-index-url='https://a.example/simple https://b.example/simple'
global.cert='/etc/certificates.pem'
global.extra-index-url='https://old.example/simple'
install.find-links='https://wheels.example/list.html /srv/wheels'
global.find-links='/nowhere'
WARNING: something else
broken.line
global.timeout=not a literal
"""


def test_a_variable_wins_over_a_section_and_a_section_over_global():
    assert read_pip_settings(LISTED) == {
        "extra-index-url": "https://a.example/simple https://b.example/simple",
        "cert": "/etc/certificates.pem",
        "find-links": "https://wheels.example/list.html /srv/wheels",
    }


def test_uv_looks_where_pip_looks():
    found = uv_environment(
        {
            "index-url": "https://mirror.example/simple",
            "extra-index-url": "https://a.example/simple",
            "find-links": "https://wheels.example/list.html",
            "cert": "/etc/certificates.pem",
            "trusted-host": "mirror.example",
            "proxy": "http://proxy.example:3128",
        },
        inherited={"PATH": "/bin"},
    )
    assert found == {
        "PATH": "/bin",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple",
        "UV_FIND_LINKS": "https://wheels.example/list.html",
        "SSL_CERT_FILE": "/etc/certificates.pem",
        "UV_INSECURE_HOST": "mirror.example",
        "ALL_PROXY": "http://proxy.example:3128",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_a_folder_of_this_machine_is_no_place_of_the_pods():
    settings = {"extra-index-url": "file:///srv/simple", "find-links": "/srv/wheels"}
    assert uv_environment(settings, inherited={}) == {}


def test_a_machine_without_a_network_has_only_its_folders():
    alone = uv_environment({"no-index": "true", "find-links": "/srv/wheels"}, inherited={})
    assert alone == {"UV_NO_INDEX": "1", "UV_FIND_LINKS": "/srv/wheels"}
    mirrored = uv_environment({"index-url": "file:///srv/simple", "find-links": "/srv/wheels"}, inherited={})
    assert mirrored == {"UV_DEFAULT_INDEX": "file:///srv/simple", "UV_FIND_LINKS": "/srv/wheels"}


def test_what_the_user_told_uv_stands():
    said = {"UV_DEFAULT_INDEX": "https://mine.example/simple"}
    assert uv_environment({"index-url": "https://pip.example/simple"}, inherited=said) == said
