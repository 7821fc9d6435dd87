# A real RTSP server for the tests: GStreamer's, on loopback, on the port given. Serves /bird: a photograph as H.264, at the
# size that its file has now: SPS and PPS go before each key frame, and a picture is one slice (they would go before each).
# A third and fourth argument are the user and password that it then requires. Prints "ready" when it listens.
import sys
import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address('127.0.0.1')
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( multifilesrc location="{sys.argv[2]}" loop=true caps="image/jpeg,framerate=10/1" ! jpegdec ! videoconvert ! '
    'x264enc tune=zerolatency speed-preset=ultrafast sliced-threads=false key-int-max=10 ! '
    'rtph264pay config-interval=-1 name=pay0 pt=96 )')
factory.set_shared(True)
if len(sys.argv) > 4:
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string('media.factory.role', 'viewer')
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(sys.argv[3], sys.argv[4]), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ('media.factory.access', 'media.factory.construct'):
        permissions.add_permission_for_role('viewer', permission, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory('/bird', factory)
server.attach(None)
print('ready', flush=True)
GLib.MainLoop().run()
