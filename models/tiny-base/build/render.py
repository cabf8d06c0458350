"""Rendering one picture of a synthetic person: the door to the rooms beside it."""

from __future__ import annotations

import numpy as np
from camera import aim_camera
from composite import background, reduce, tone_curve
from fragments import gather_fragments
from hair import draw_hair
from hair_shading import shade_hair
from head import pose_head
from light import key_share, light_of, shade_surface
from mesh import HeadMesh
from person import Person
from raster import ZBuffer
from scene import Scene
from surface import paint_surface


def render(mesh: HeadMesh, person: Person, scene: Scene, size: int = 128, supersample: int = 2) -> np.ndarray:
    """The picture of `person` in `scene`, sRGB u8[size,size,3]; the same bytes for the same arguments.

    It is drawn with `supersample` x `supersample` samples for each pixel.
    """
    width = size * supersample
    head = pose_head(mesh, person, scene)
    camera = aim_camera(head, scene, width)
    turned = camera.turn(head.vertices)

    buffer = ZBuffer(width)
    buffer.draw(camera.project(turned), head.triangles)
    hair = draw_hair(head, person, camera, buffer)
    fragments = gather_fragments(head, turned, buffer, hair)

    surface = paint_surface(head, fragments, person, scene, hair, camera.rotation)
    light = light_of(scene)
    lit = key_share(light, head, turned, fragments)
    radiance = shade_surface(surface, light, lit, head, fragments, person, scene)
    for layer in hair.layers if hair else ():
        chosen, strands = shade_hair(hair, layer, light, lit, head, fragments, person, camera.rotation)
        radiance[chosen] = strands

    picture = background(scene, width)
    picture[fragments.covered] = radiance * light.tint * scene.exposure
    return tone_curve(reduce(picture, supersample))
