/** Addresses of network cameras as people write them: where the password is, and that nothing of it is shown. */
import { describe, expect, it } from 'vitest'
import { parseCameraAddress, withCredentials } from '../../src/address/camera.js'

describe('parseCameraAddress', () => {
  it.each([
    ['rtsp://192.168.1.20/live', null, null, '192.168.1.20', 'rtsp://192.168.1.20/live'],
    ['RTSP://Cam.lan:554/Live', null, null, 'Cam.lan', 'rtsp://Cam.lan:554/Live'],
    ['rtsp://admin:secret@cam/live', 'admin', 'secret', 'cam', 'rtsp://admin:secret@cam/live'],
    ['rtsp://admin:p%40ss@cam/', 'admin', 'p@ss', 'cam', 'rtsp://admin:p%40ss@cam/'],
    ['rtsp://admin:pa#ss@cam/live', 'admin', 'pa#ss', 'cam', 'rtsp://admin:pa%23ss@cam/live'],
    ['rtsp://admin:12/4@cam:554/live', 'admin', '12/4', 'cam', 'rtsp://admin:12%2F4@cam:554/live'],
    ['rtsp://admin:pa?ss@10.0.0.5/a@b', 'admin', 'pa?ss', '10.0.0.5', 'rtsp://admin:pa%3Fss@10.0.0.5/a@b'],
    ['rtsp://admin:pa ss@cam/live', 'admin', 'pa ss', 'cam', 'rtsp://admin:pa%20ss@cam/live'],
    ['rtsp://admin:p@ss/word@cam/live', 'admin', 'p@ss/word', 'cam', 'rtsp://admin:p%40ss%2Fword@cam/live'],
    ['rtsp://admin:p@ss@cam.lan/live', 'admin', 'p@ss', 'cam.lan', 'rtsp://admin:p%40ss@cam.lan/live'],
    ['rtsp://view er:a/b@cam/', 'view er', 'a/b', 'cam', 'rtsp://view%20er:a%2Fb@cam/'],
    ['rtsp://admin:a:b@cam/', 'admin', 'a:b', 'cam', 'rtsp://admin:a%3Ab@cam/'],
    ['rtsp://admin:100%@cam/', 'admin', '100%', 'cam', 'rtsp://admin:100%25@cam/'],
    ['rtsp://192.168.1.20:554/live@main', null, null, '192.168.1.20', 'rtsp://192.168.1.20:554/live@main'],
    ['rtsp://[fe80::1]:8554/x', null, null, '[fe80::1]', 'rtsp://[fe80::1]:8554/x'],
    ['udp://:5000', null, null, '', 'udp://:5000'],
    ['udp://@239.0.0.1:5000', null, null, '239.0.0.1', 'udp://239.0.0.1:5000'],
  ])('%s', (text, user, password, host, url) => {
    expect(parseCameraAddress(text)).toMatchObject({ user, password, host, url })
  })

  it.each([
    'rtsp://',
    'rtsp://admin:x@',
    'rtsp://cam:99999/',
    'rtsp://cam:port/',
    'rtsp://a b/',
    'cam/live',
    'a\n://b',
  ])('%j is no address', (text) => {
    expect(parseCameraAddress(text)).toBeNull()
  })
})

describe('what is shown', () => {
  it.each([
    ['rtsp://admin:pa#ss@cam/live?channel=1&subtype=0', 'rtsp://cam/live?channel=1&subtype=0', ['pa#ss']],
    [
      'rtsp://10.0.0.9:554/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp?real_stream',
      'rtsp://10.0.0.9:554/(hidden)?(hidden)',
      ['tlJwpbo6'],
    ],
    [
      'http://cam/video.cgi?loginuse=admin&loginpas=hunter22',
      'http://cam/video.cgi?loginuse=(hidden)&loginpas=(hidden)',
      ['hunter22'],
    ],
    ['http://cam/s?u=admin&p=hunter22&fps=5', 'http://cam/s?u=(hidden)&p=(hidden)&fps=5', ['hunter22']],
    ['rtsps://nvr.lan:7441/pQ8xk2Lm9ZtR4wYb?enableSrtp', 'rtsps://nvr.lan:7441/(hidden)?(hidden)', []],
    [
      'srt://host:9000?passphrase=correcthorse&mode=caller',
      'srt://host:9000?passphrase=(hidden)&mode=caller',
      ['correcthorse'],
    ],
    ['rtsp://admin:12/4@cam@x/', 'rtsp://x/', ['12/4@cam']],
  ])('%s', (text, shown, secrets) => {
    const address = parseCameraAddress(text)!
    expect(address.shown).toBe(shown)
    expect(address.secrets).toEqual(expect.arrayContaining(secrets))
    for (const secret of secrets) expect(address.shown).not.toContain(secret)
  })

  it('other credentials replace those that are there', () => {
    const address = withCredentials(parseCameraAddress('rtsp://viewer:old@cam/live')!, null, 'n/e#w')
    expect(address).toMatchObject({ url: 'rtsp://viewer:n%2Fe%23w@cam/live', user: 'viewer', password: 'n/e#w' })
  })
})
